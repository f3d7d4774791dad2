//! The stores that the commands run on. Each cell starts from the same state.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::platforms::{dialects, remote};
use crate::support::sandbox::Sandbox;

/// File names that are hard to handle.
pub const NAMES: &[&str] = &[
    "plain.txt",
    "red\u{1b}[31m.txt",
    "title\u{1b}]0;owned\u{7}.txt",
    "c1\u{9b}2J\u{85}.txt",
    "new\nline.txt",
    "tab\tbed.txt",
    "carriage\rreturn.txt",
    "both\\n and\n.txt",
    "bidi\u{202e}fdp.exe",
    "isolate\u{2066}x\u{2069}.txt",
    "zero\u{200b}width\u{feff}.txt",
    "日本語の名前がとても長いファイル.pdf",
    "👩\u{200d}👩\u{200d}👧 🎉❤\u{fe0f}.png",
    "e\u{301}e\u{301}e\u{301}.txt",
    "quo\"te's`$HOME`$(id).txt",
    " lead and trail ",
    "{\"json\": [1]}",
    "-rf",
    LONG,
];

/// The number of [`NAMES`] that the disk accepts.
pub const ON_DISK: usize = NAMES.len() - 1;

/// A thousand characters.
const LONG: &str = {
    const BYTES: [u8; 1000] = [b'n'; 1000];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
};

/// A sandbox that can be reset to its initial state.
pub struct World {
    pub env: Sandbox,
    kept: PathBuf,
    /// Whether a command may have changed something since the last reset.
    changed: Cell<bool>,
}

impl World {
    fn of(env: Sandbox) -> Self {
        env.write("up.txt", "content");
        fs::create_dir(env.work().join("empty")).unwrap();
        let kept = env.root().join("kept");
        fs::create_dir(&kept).unwrap();
        let world = Self { env, kept, changed: Cell::new(false) };
        // Caches exist before the state is copied.
        world.env.haul(["ls"]).ok();
        world.copy(&world.env.home(), &world.kept.join("home"));
        world.copy(&world.env.work(), &world.kept.join("work"));
        world
    }

    /// A store without files.
    pub fn none() -> Self {
        Self::of(Sandbox::new())
    }

    /// A store with one file.
    pub fn one() -> Self {
        let mut env = Sandbox::with_files(&["one"]);
        env.set("HAUL_PROFILE_FAR_PROVIDER", remote().name);
        Self::of(env)
    }

    /// A store with more files than the first page of a table has rows.
    pub fn many() -> Self {
        let env = Sandbox::new();
        for number in 0..130 {
            env.write(format!("docs/{number:03}.txt"), number.to_string());
        }
        env.haul(["upload", "-r", "docs", "-q"]).ok();
        Self::of(env)
    }

    /// A store with hostile names and metadata.
    pub fn hostile() -> Self {
        let env = Sandbox::new();
        for name in NAMES {
            if name.len() < 256 {
                env.write(Path::new("hard").join(name), name);
            }
            env.write("content", name);
            let metadata = format!("h\u{1b}]0;x\u{7}={name}");
            let name = format!("--name={name}");
            env.haul(["upload", "content", &name, "-m", &metadata, "--purpose", "p\u{1b}[2J\n"]).ok();
        }
        Self::of(env)
    }

    /// A profile whose settings contain control characters.
    pub fn settings() -> Self {
        let env = Sandbox::new();
        let scoped = dialects().find(|case| !case.can().scope.is_empty()).unwrap();
        let (provider, key) = (scoped.provider, scoped.can().scope[0]);
        let set = format!("set.{key} = \"w\\u001B[2J\\n\\u202Ex\"");
        let config = format!("[profiles.work]\nprovider = \"{provider}\"\n{set}\n");
        fs::write(env.home().join("config.toml"), config).unwrap();
        Self::of(env)
    }

    /// Resets the sandbox if the next command may change something.
    pub fn reset(&self, changes: bool) {
        if !self.changed.replace(changes) {
            return;
        }
        for (from, to) in [("home", self.env.home()), ("work", self.env.work())] {
            fs::remove_dir_all(&to).unwrap();
            self.copy(&self.kept.join(from), &to);
        }
    }

    fn copy(&self, from: &Path, to: &Path) {
        self.env.run(self.env.program("cp").current_dir("/").arg("-r").arg(from).arg(to)).ok();
    }
}
