//! The program against a platform that is served here.

use haul::model::File;

use crate::support::rig::{Case, Rig, TOKEN};
use crate::support::sandbox::{Run, Sandbox};

/// A sandbox in the home of the rig's server, on the rig's platform.
pub fn sandbox(rig: &Rig) -> Sandbox {
    let mut env = Sandbox::in_folder(rig.served.home().to_owned()).with_real_clock();
    env.use_platform(&rig.case, &rig.served.base(rig.case.provider), TOKEN);
    env
}

/// Runs the program there.
#[track_caller]
pub fn haul(rig: &Rig, arguments: &[&str]) -> Run {
    sandbox(rig).haul(arguments)
}

/// The names of some files.
pub fn names(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

pub const LOCAL: Case = Case::of("local", "store");
pub const XAI: Case = Case { wire: Some("xai=openai"), ..Case::of("xai", "openai") };
pub const GATEWAY: Case = Case { wire: Some("xai=gateway"), ..Case::of("xai", "gateway") };
pub const LLAMACLOUD: Case = Case::of("llamacloud", "beta");
pub const LEGACY: Case = Case::of("llamacloud", "legacy");
pub const MAGNETAR: Case = Case { wire: Some("metorial=magnetar"), ..Case::of("metorial", "magnetar") };
pub const SEED: Case = Case { wire: Some("metorial=seed"), ..Case::of("metorial", "seed") };
pub const PULSAR: Case = Case { wire: Some("metorial=pulsar"), ..Case::of("metorial", "pulsar") };
pub const REPLICATE: Case = Case { quirks: &["page-size=3"], ..Case::of("replicate", "api") };
pub const SIGNED: Case = Case {
    quirks: &["signing-secret=s3cret", "owner=acme"],
    set: &[("owner", "acme")],
    secrets: &[("signing_secret", "s3cret")],
    ..Case::of("replicate", "signed")
};
pub const ACTIVELOOP: Case = Case::of("activeloop", "l0");
pub const SERVED: Case = Case::of("local", "served");

/// Every dialect of every platform, and what `auto` makes of every server.
pub const CASES: [Case; 19] = [
    LOCAL,
    SERVED,
    REPLICATE,
    SIGNED,
    ACTIVELOOP,
    SEED,
    PULSAR,
    MAGNETAR,
    Case { dialect: "auto", ..SEED },
    Case { dialect: "auto", ..PULSAR },
    Case { dialect: "auto", ..MAGNETAR },
    LLAMACLOUD,
    LEGACY,
    Case { dialect: "auto", ..LLAMACLOUD },
    XAI,
    GATEWAY,
    Case { dialect: "auto", ..XAI },
    Case { dialect: "auto", ..GATEWAY },
    Case { wire: Some("xai=auto"), ..GATEWAY },
];
