//! The program against a platform that is served here.

use std::process::{Command, Output};

use haul::model::File;

use crate::rig::{Case, Rig, TOKEN};

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The lines of stdout of a run that went well.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        assert_eq!(self.status, 0, "{self:?}");
        self.out.lines().collect()
    }

    /// The files that `--jsonl` printed.
    #[track_caller]
    pub fn files(&self) -> Vec<File> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The program with nothing of this machine's environment, on the rig's platform.
pub fn command(rig: &Rig) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
    let Case { provider, dialect, set, secrets, .. } = rig.case;
    command.env_clear().env("HAUL_HOME", rig.served.home()).env("HAUL_PROFILE", provider);
    if provider != "local" {
        command.env("HAUL_TOKEN", TOKEN).env("HAUL_BASE_URL", rig.served.base(provider));
        command.env("HAUL_UPLOAD_BASE_URL", rig.served.base(provider));
    }
    command.env("HAUL_DIALECT", dialect).current_dir(rig.served.home());
    for (key, value) in set.iter().chain(secrets) {
        command.env(format!("HAUL_SET_{}", key.to_ascii_uppercase()), value);
    }
    command
}

/// Runs it.
pub fn haul(rig: &Rig, arguments: &[&str]) -> Ran {
    Ran::of(command(rig).args(arguments).stdin(std::process::Stdio::null()).output().unwrap())
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
