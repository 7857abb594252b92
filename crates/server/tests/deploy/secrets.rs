//! `deploy/secrets` creates files that only their service can read, run by root or by another user.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use onsale_testing::{Launch, without};

use crate::files;
use crate::support::ONSALE;

/// A user that is none of the readers and not root.
const OPERATOR: u32 = 54_321;

/// Users of the images: onsale, Redis, Grafana.
const READERS: [u32; 3] = [65_532, 999, 472];

/// The user that reads each file.
const FILES: [(&str, Option<u32>); 8] = [
    ("database_password", None),
    ("database_url", Some(65_532)),
    ("redis_password", None),
    ("redis_conf", Some(999)),
    ("redis_url", Some(65_532)),
    ("jwt_secret", Some(65_532)),
    ("admin_key", Some(65_532)),
    ("grafana_password", Some(472)),
];

/// A checkout with nothing but the script, of this user.
fn checkout(user: u32) -> Launch {
    let launch = Launch::new(ONSALE);
    let folder = launch.folder();
    let deploy = folder.join("deploy");
    std::fs::create_dir(&deploy).unwrap();
    std::fs::copy(files::path("deploy/secrets"), deploy.join("secrets")).unwrap();
    for path in [folder, &deploy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        chown(path, Some(user), Some(user)).unwrap();
    }
    launch
}

/// A command as this user, without further groups.
fn run_as(user: u32, folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    // The most permissive mask, because the script must not rely on the caller's.
    command.args(ids).args(["sh", "-c", "umask 000; exec \"$@\"", "sh", program]).args(arguments);
    command.current_dir(folder).output().unwrap()
}

/// Whether a container's user can read the file where it is mounted: its folder on the host does not count there.
fn can_read(user: u32, folder: &Path, name: &str) -> bool {
    let mounted = folder.join("mounted");
    std::fs::create_dir_all(&mounted).unwrap();
    std::fs::set_permissions(&mounted, std::fs::Permissions::from_mode(0o755)).unwrap();
    let link = mounted.join(name);
    let _ = std::fs::remove_file(&link);
    std::fs::hard_link(folder.join("secrets").join(name), &link).unwrap();
    run_as(user, folder, "cat", &[link.to_str().unwrap()]).status.success()
}

fn is_root() -> bool {
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    uid == b"0\n"
}

#[test]
fn each_secret_is_readable_only_by_its_service() {
    if without("acl") || without("openssl") || onsale_testing::absent(is_root(), "root, to run as other users") {
        return;
    }
    for maker in [0, OPERATOR] {
        let launch = checkout(maker);
        let folder = launch.folder();
        let made = run_as(maker, folder, "deploy/secrets", &[]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let secrets = folder.join("secrets");
        assert_eq!(std::fs::metadata(&secrets).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&secrets).unwrap().count(), FILES.len());
        let contents = |name: &str| std::fs::read(secrets.join(name)).unwrap();
        let first: Vec<Vec<u8>> = FILES.iter().map(|(name, _)| contents(name)).collect();
        for (name, reader) in FILES {
            // An earlier version left files readable for all users.
            std::fs::set_permissions(secrets.join(name), std::fs::Permissions::from_mode(0o444)).unwrap();
            assert!(can_read(1_234, folder, name), "the test sees an open file");
            let again = run_as(maker, folder, "deploy/secrets", &[]);
            assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
            let file = std::fs::metadata(secrets.join(name)).unwrap();
            assert_eq!(file.mode() & 0o007, 0, "{name} made by {maker}: {:o}", file.mode());
            assert!(maker != 0 || file.mode() & 0o777 == 0o600, "{name}: {:o}", file.mode());
            for user in READERS.into_iter().chain([1_234, 65_534]) {
                assert_eq!(can_read(user, folder, name), reader == Some(user), "{name} made by {maker}, {user}");
            }
            assert!(can_read(maker, folder, name), "{name}: its maker");
        }
        for ((name, _), first) in FILES.iter().zip(first) {
            assert!(first.len() >= 48 && contents(name) == first, "{name} stays as it is");
        }
    }
}

#[test]
fn the_secrets_script_refuses_a_user_who_cannot_change_owners() {
    if without("acl") || onsale_testing::absent(is_root(), "root, to run as other users") {
        return;
    }
    let launch = checkout(OPERATOR);
    let folder = launch.folder();
    // A machine without the program for access control lists.
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in ["bash", "dirname", "mkdir", "chmod", "id", "openssl", "cat", "env"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().stdout;
        std::os::unix::fs::symlink(String::from_utf8(found).unwrap().trim(), bin.join(program)).unwrap();
    }
    let path = format!("PATH={}", bin.display());
    let made = run_as(OPERATOR, folder, "/usr/bin/env", &[&path, "deploy/secrets"]);
    assert!(!made.status.success());
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(said.contains("setfacl") && said.contains("root"), "{said}");
    assert_eq!(std::fs::read_dir(folder.join("secrets")).unwrap().count(), 0, "no secret was made");
}
