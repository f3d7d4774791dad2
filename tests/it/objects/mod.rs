//! Object storage with the program, on the tests' own server: addresses in every verb, upload modes, `sync`, multipart
//! uploads, credentials and errors.

mod credentials;
mod errors;
mod parts;
mod verbs;

use haul::model::Clock;

use crate::platforms::s3::S3;
use crate::support::emulator::Emulator;
use crate::support::emulator::Setup;
use crate::support::s3::{KEY_ID, SECRET};
use crate::support::sandbox::Sandbox;

/// A server, and a sandbox whose environment has its address and credentials.
fn bucket() -> (Sandbox, Emulator) {
    bucket_with(&[])
}

fn bucket_with(faults: &[&str]) -> (Sandbox, Emulator) {
    let served = Emulator::start(&Setup { faults, ..S3.setup(Clock(None)) });
    let mut env = Sandbox::new();
    env.set("AWS_ENDPOINT_URL_S3", &served.base("s3"));
    env.set("AWS_ACCESS_KEY_ID", KEY_ID);
    env.set("AWS_SECRET_ACCESS_KEY", SECRET);
    (env, served)
}
