//! One job that haul and other programs run alternately.

use std::fmt::Write as _;

use crate::measure::{Program, Sample, median};

/// A job: one row of the table per compared program.
pub struct Job {
    pub name: String,
    pub haul: Program,
    pub peers: Vec<Peer>,
    /// The preparation of each run, such as removing its output.
    pub before: Box<dyn Fn()>,
    /// The maximum number of rounds.
    pub rounds: usize,
    /// The absolute goals for haul, in MiB and in seconds.
    pub memory: Option<f64>,
    pub seconds: Option<f64>,
}

/// A program to compare with.
pub struct Peer {
    pub name: String,
    /// `None` if it is not installed.
    pub program: Option<Program>,
    /// The goals for haul, as ratios to this program's wall time and CPU time.
    pub wall: Option<f64>,
    pub cpu: Option<f64>,
    /// The maximum number of rounds. With a limit, this program has no warm-up round.
    pub rounds: usize,
}

/// The numbers of rounds for programs that take seconds (`FEW`) and about a minute (`ONCE`).
pub const FEW: usize = 2;
pub const ONCE: usize = 1;

impl Job {
    pub fn new(name: impl Into<String>, haul: Program) -> Self {
        Self {
            name: name.into(),
            haul,
            peers: Vec::new(),
            before: Box::new(|| {}),
            rounds: usize::MAX,
            memory: None,
            seconds: None,
        }
    }

    pub fn compare(mut self, peer: Peer) -> Self {
        self.peers.push(peer);
        self
    }

    pub fn before(self, before: impl Fn() + 'static) -> Self {
        Self { before: Box::new(before), ..self }
    }

    pub fn rounds(self, rounds: usize) -> Self {
        Self { rounds, ..self }
    }

    pub fn memory(self, mib: f64) -> Self {
        Self { memory: Some(mib), ..self }
    }

    pub fn seconds(self, seconds: f64) -> Self {
        Self { seconds: Some(seconds), ..self }
    }

    /// Runs all programs alternately for at most this number of rounds, after a warm-up round unless the job limits its
    /// rounds. Returns the lines of the table.
    pub fn run(&self, rounds: usize) -> String {
        let rounds = rounds.min(self.rounds);
        let (mut ours, mut theirs) = (Vec::new(), vec![Vec::new(); self.peers.len()]);
        let first = usize::from(self.rounds != usize::MAX);
        for round in first..=rounds {
            let sample = self.haul.run(&self.before);
            if round > 0 {
                ours.push(sample);
            }
            for (peer, samples) in self.peers.iter().zip(&mut theirs) {
                let wanted =
                    if peer.rounds == usize::MAX { true } else { (1..=peer.rounds).contains(&round) };
                let Some(program) = peer.program.as_ref().filter(|_| wanted) else { continue };
                let sample = program.run(&self.before);
                if round > 0 {
                    samples.push(sample);
                }
            }
        }
        let ours = median(&ours);
        let mut lines = String::new();
        if self.peers.is_empty() {
            let _ = writeln!(lines, "{} | | | | | |", self.own_cells(true, &ours));
        }
        for (index, (peer, samples)) in self.peers.iter().zip(&theirs).enumerate() {
            let cells = self.own_cells(index == 0, &ours);
            if samples.is_empty() {
                let _ = writeln!(lines, "{cells} | {}: not installed | | | | |", peer.name);
                continue;
            }
            let theirs = median(samples);
            let few = if samples.len() < rounds { format!(" ({}×)", samples.len()) } else { String::new() };
            let _ = writeln!(
                lines,
                "{cells} | {}{few} | {} | {} | {} | {} |",
                peer.name,
                wall_text(theirs.wall),
                ratio(ours.wall, theirs.wall, peer.wall, true),
                ratio(ours.cpu, theirs.cpu, peer.cpu, false),
                mib(theirs.peak, None)
            );
        }
        lines
    }

    /// The first three cells, empty except in the first line of a job.
    fn own_cells(&self, first: bool, ours: &Sample) -> String {
        if !first {
            return "| | |".to_owned();
        }
        let wall = wall_text(ours.wall);
        let wall =
            self.seconds.map_or(wall.clone(), |most| with_goal(&wall, ours.wall <= most, &wall_text(most)));
        format!("| {} | {wall} | {}", self.name, mib(ours.peak, self.memory))
    }
}

fn ratio(ours: f64, theirs: f64, most: Option<f64>, bold: bool) -> String {
    if theirs <= 0.0 {
        return String::new();
    }
    let ratio = ours / theirs;
    let text = if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") };
    let text = if bold { format!("**{text}**") } else { text };
    most.map_or(text.clone(), |most| with_goal(&text, ratio <= most, &most.to_string()))
}

fn wall_text(wall: f64) -> String {
    if wall < 0.1 { format!("{:.1} ms", wall * 1000.0) } else { format!("{wall:.2} s") }
}

fn mib(peak: f64, most: Option<f64>) -> String {
    if peak <= 0.0 {
        return "–".to_owned();
    }
    let text = format!("{peak:.1} MiB");
    most.map_or(text.clone(), |most| with_goal(&text, peak <= most, &most.to_string()))
}

/// A figure with its goal.
pub fn with_goal(figure: &str, met: bool, most: &str) -> String {
    format!("{figure} {} {most}", if met { "≤" } else { "✗" })
}

impl Peer {
    pub fn new(name: impl Into<String>, program: Option<Program>) -> Self {
        Self { name: name.into(), program, wall: None, cpu: None, rounds: usize::MAX }
    }

    /// Sets the goals for the ratios of wall time and CPU time.
    pub fn goal(self, wall: f64, cpu: f64) -> Self {
        Self { wall: Some(wall), cpu: Some(cpu), ..self }
    }

    pub fn wall(self, wall: f64) -> Self {
        Self { wall: Some(wall), ..self }
    }

    pub fn rounds(self, rounds: usize) -> Self {
        Self { rounds, ..self }
    }
}
