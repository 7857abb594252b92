//! Property tests: any text is a setting's value or is refused under its name, and no output shows a secret.

use std::net::SocketAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::{Settings, Sources, clients, parse, table};

/// A value for a setting: nearly valid, or any text. Without `/`, because some settings read the file that they name.
fn value() -> impl Strategy<Value = String> {
    let near = prop_oneof![
        Just("true".to_owned()),
        "[0-9]{1,12}",
        "-?[0-9]{1,3}[.]?[0-9]{0,3}",
        "(127[.]0[.]0[.]1|localhost|\\[::1\\]):[0-9]{1,6}",
        "[0-9]{1,3}([.][0-9]{1,3}){3}(/[0-9]{1,2})?(,[0-9a-f:]{2,20}(/[0-9]{1,3})?)?",
        "(https?|redis|rediss|redis-cluster|postgres|sqlite)://[a-z0-9@:,.-]{0,30}",
        "whsec_[A-Za-z0-9+=]{0,40}",
        "(Asia|Europe)-[A-Z][a-z]{3,8}",
    ];
    let anything = any::<String>().prop_filter("no path", |text| !text.contains(['/', '\0']));
    prop_oneof![2 => near, 1 => anything]
}

fn read(settings: &[(&str, &str)]) -> Result<Settings, super::BadSetting> {
    let flags = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Settings::read(&Sources::gather(flags, None)?)
}

proptest! {
    #![proptest_config(crate::properties::cases(60))]

    #[test]
    fn any_value_is_read_or_refused_under_its_name(value in value()) {
        for setting in table::all() {
            if let Err(bad) = read(&[(setting.name, &value)]) {
                prop_assert!(bad.name == format!("--{}", setting.name) || setting.name == "listen", "{bad}");
                prop_assert!(!bad.problem.is_empty());
            }
        }
    }

    #[test]
    fn neither_settings_nor_errors_show_a_secret(secret in "[!-~&&[^/]]{12,60}") {
        let url = format!("postgres://user:{secret}@host:port/sale");
        let redis = format!("redis://:{secret}@host:port");
        let settings = [
            ("jwt-secret", secret.as_str()), ("jwt-public-key", &secret), ("admin-key", &secret), ("token-secret", &secret),
            ("data-platform-secret", &secret), ("database-url", &url), ("redis-url", &redis),
        ];
        for setting in settings {
            let shown = match read(&[setting, ("auth", "jwt")]) {
                Ok(settings) => format!("{settings:?}"),
                Err(bad) => format!("{bad} {bad:?}"),
            };
            prop_assert!(!shown.contains(&secret), "{}: {shown}", setting.0);
        }
    }

    #[test]
    fn numbers_are_read_exactly_within_their_range(number in any::<u32>(), least in 0..100_u32, more in 0..1_000_000_u32) {
        let most = least + more;
        let read = parse::between(least, most)(&number.to_string());
        prop_assert_eq!(read.ok(), Some(number).filter(|number| (least..=most).contains(number)));
    }

    #[test]
    fn addresses_and_networks_are_read_as_they_are_written(
        address in any::<SocketAddr>(),
        networks in prop::collection::vec((any::<std::net::IpAddr>(), 0..=32_u8), 0..6),
    ) {
        prop_assert_eq!(parse::address(&address.to_string()).ok().map(|read| (read.ip(), read.port())), Some((address.ip(), address.port())));
        let networks: Vec<IpNet> = networks.into_iter().filter_map(|(address, bits)| IpNet::new(address, bits).ok()).collect();
        let written: Vec<String> = networks.iter().map(IpNet::to_string).collect();
        prop_assert_eq!(clients::networks(&written.join(" , ")), Ok(networks));
    }
}
