//! When a keyring is opened, and when one does not answer: a bus that accepts and never says a word.

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
fn a_token_in_the_environment_opens_no_bus_and_one_in_the_keyring_does() {
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
    // The bus would have seen it: without the variable it does, and is not waited for longer than 3 seconds.
    let home = Sandbox::new().with_config(RECORDED).with_var("DBUS_SESSION_BUS_ADDRESS", &address);
    let ran = home.line(&ls).fails(4).says("no response within 3 seconds").says("HAUL_PROFILE_XAI_TOKEN");
    assert!(ran.stderr().contains("cannot be used"), "{ran:?}");
    assert!(bus.accept().is_ok(), "nobody asked the bus");
    assert_eq!(server.seen(), ["Bearer tok-env"]);
}

#[test]
fn a_keyring_of_another_system_is_told() {
    let home = Sandbox::new().with_config("[profiles.xai]\ntoken_store = 'keychain'\n");
    home.line("auth token xai")
        .fails(4)
        .says("the keychain cannot be used")
        .says("not available on this system");
}
