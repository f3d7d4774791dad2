//! Runs the program against an emulated platform.

use haul::filter::Op;
use haul::model::{File, NewFile};
use haul::providers::{Capabilities, Native};

use crate::platforms::dialects;
use crate::support::rig::{Case, Rig, TOKEN};
use crate::support::sandbox::{Run, Sandbox};

/// A sandbox in the home of the rig's server that uses the rig's platform.
pub fn sandbox(rig: &Rig) -> Sandbox {
    let mut env = Sandbox::in_folder(rig.served.home().to_owned()).with_real_clock();
    env.use_platform(&rig.case, &rig.served.base(rig.case.provider), TOKEN);
    env
}

/// Runs the program on the rig's platform.
#[track_caller]
pub fn haul(rig: &Rig, arguments: &[&str]) -> Run {
    sandbox(rig).haul(arguments)
}

/// Runs the program, which must refuse with this hint before any request.
#[track_caller]
pub fn refused(rig: &Rig, arguments: &[&str], hint: &str) {
    rig.served.requests();
    let ran = haul(rig, arguments);
    assert_eq!((ran.status, ran.stdout().as_str()), (5, ""), "{arguments:?}: {ran:?}");
    assert!(ran.stderr().contains(hint), "{arguments:?}: {}", ran.stderr());
    assert_eq!(rig.served.requests(), Vec::<String>::new(), "{arguments:?}");
}

/// The number of files on the platform.
pub fn listed(rig: &Rig) -> usize {
    rig.pages(None).concat().len()
}

/// A file with a type and a size.
pub fn typed(name: &str, content_type: &str, size: usize) -> NewFile {
    NewFile { content_type: content_type.to_owned(), ..NewFile::from_bytes(name, "x".repeat(size)) }
}

/// The names of some files.
pub fn names(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

pub const LOCAL: Case = Case::of("local", "store");

/// The first emulated dialect with these capabilities.
pub fn remote(can: impl Fn(&Capabilities) -> bool) -> Case {
    dialects().find(|case| case.is_remote() && can(case.can())).expect("a platform that can do this")
}

/// The emulated dialects that filter by name themselves.
pub fn finds_names() -> impl Iterator<Item = Case> {
    let by_name = |native: &Native| native.field == "name" && native.ops.contains(&Op::Eq);
    dialects().filter(move |case| case.is_remote() && case.can().list.native.iter().any(by_name))
}
