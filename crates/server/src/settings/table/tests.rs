use super::{Setting, all};
use crate::settings::{Settings, Sources};

/// The range that a help text names, such as `1 to 64`.
fn range(setting: &Setting) -> (u64, u64) {
    let words: Vec<&str> = setting.help.split([' ', '.', ',', ';']).collect();
    let named = words.windows(3).find_map(|words| match words {
        [least, "to", most] => Some((least.parse().ok()?, most.parse().ok()?)),
        _ => None,
    });
    named.unwrap_or_else(|| panic!("the help of {} names no range", setting.name))
}

#[test]
fn the_range_in_the_help_is_the_range_that_is_read() {
    let mut seen = 0;
    for setting in all().filter(|setting| matches!(setting.value, "N" | "SECONDS" | "DAYS" | "MIB")) {
        let (least, most) = range(setting);
        let is_read = |number: u64| {
            let flag = |name: &str| (name == setting.name).then(|| number.to_string());
            Sources::gather(flag, None).and_then(|sources| Settings::read(&sources)).is_ok()
        };
        assert!(is_read(least) && is_read(most), "{}: {least} and {most} are in its range", setting.name);
        assert!(!is_read(most + 1), "{}: {} is beyond its range", setting.name, most + 1);
        assert!(least == 0 || !is_read(least - 1), "{}: {} is below its range", setting.name, least - 1);
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} settings are numbers");
}
