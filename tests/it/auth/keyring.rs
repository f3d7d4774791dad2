//! Conditions under which a keyring is opened, and a keyring that does not respond: a bus that only accepts connections.

use std::os::unix::net::UnixListener;
use std::path::Path;

use super::support::Server;
use crate::support::sandbox::Sandbox;

const RECORDED: &str = "[profiles.xai]\ntoken_store = 'secret-service'\n";

fn silent_bus(folder: &Path) -> (UnixListener, String) {
    let path = folder.join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    (listener, format!("unix:path={}", path.display()))
}

#[test]
fn only_a_token_in_the_keyring_opens_the_bus() {
    let folder = tempfile::TempDir::new().unwrap();
    let (bus, address) = silent_bus(folder.path());
    let server = Server::willing();
    let home = Sandbox::new().with_config(RECORDED).with_var("DBUS_SESSION_BUS_ADDRESS", &address);
    let ls = format!("-p xai ls --base-url {}", server.url);
    for line in ["ls", "profile ls", "-p xai config show", "providers", "auth logout metorial"] {
        home.line(line).ok();
        assert!(bus.accept().is_err(), "`haul {line}` opened the bus");
    }
    let home = home.with_var("XAI_API_KEY", "tok-env");
    home.line(&ls).ok();
    assert!(bus.accept().is_err(), "`haul ls` opened the bus");
    // Without the variable haul connects to the bus, which shows that this check works, and waits at most 3
    // seconds.
    let home = Sandbox::new().with_config(RECORDED).with_var("DBUS_SESSION_BUS_ADDRESS", &address);
    let ran = home.line(&ls).fails(4).says("no response within 3 seconds").says("HAUL_PROFILE_XAI_TOKEN");
    assert!(ran.stderr().contains("cannot be used"), "{ran:?}");
    assert!(bus.accept().is_ok(), "haul did not connect to the bus");
    assert_eq!(server.seen(), ["Bearer tok-env"]);
}

#[test]
fn a_keyring_of_another_system_is_reported() {
    let home = Sandbox::new().with_config("[profiles.xai]\ntoken_store = 'keychain'\n");
    home.line("auth token xai")
        .fails(4)
        .says("the keychain cannot be used")
        .says("not available on this system");
}
