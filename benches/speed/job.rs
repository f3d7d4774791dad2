//! One piece of work: haul does it, and others beside it, in turn.

use std::fmt::Write as _;

use crate::measure::{Program, Sample, median};

/// One piece of work.
pub struct Job {
    pub name: String,
    pub haul: Program,
    pub peers: Vec<Peer>,
    /// Makes room for what is written.
    pub before: Box<dyn Fn()>,
    /// How many rounds at most.
    pub rounds: usize,
    /// What haul is to need at most, whatever the others do: MiB, seconds.
    pub memory: Option<f64>,
    pub seconds: Option<f64>,
}

/// A program that does the same.
pub struct Peer {
    pub name: String,
    /// None where it is not installed.
    pub program: Option<Program>,
    /// What haul is to need at most, as a share of this one's: wall time, CPU time.
    pub wall: Option<f64>,
    pub cpu: Option<f64>,
    /// How many rounds at most; fewer than five are without one to warm up.
    pub rounds: usize,
}

/// Rounds of what takes seconds, and of what takes a minute.
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

    pub fn beside(mut self, peer: Peer) -> Self {
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

    /// Does the work in so many rounds, all programs in turn, after one round to warm all alike; gives the lines of the
    /// table.
    pub fn run(&self, rounds: usize) -> String {
        let rounds = rounds.min(self.rounds);
        let (mut ours, mut theirs) = (Vec::new(), vec![Vec::new(); self.peers.len()]);
        let warming = usize::from(self.rounds != usize::MAX);
        for round in warming..=rounds {
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

    /// The first three cells; empty below the first line of a job.
    fn own_cells(&self, first: bool, ours: &Sample) -> String {
        if !first {
            return "| | |".to_owned();
        }
        let wall = wall_text(ours.wall);
        let wall = self.seconds.map_or(wall.clone(), |most| held(&wall, ours.wall <= most, &wall_text(most)));
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
    most.map_or(text.clone(), |most| held(&text, ratio <= most, &most.to_string()))
}

fn wall_text(wall: f64) -> String {
    if wall < 0.1 { format!("{:.1} ms", wall * 1000.0) } else { format!("{wall:.2} s") }
}

fn mib(peak: f64, most: Option<f64>) -> String {
    if peak <= 0.0 {
        return "–".to_owned();
    }
    let text = format!("{peak:.1} MiB");
    most.map_or(text.clone(), |most| held(&text, peak <= most, &most.to_string()))
}

/// A figure with its goal.
pub fn held(figure: &str, held: bool, most: &str) -> String {
    format!("{figure} {} {most}", if held { "≤" } else { "✗" })
}

impl Peer {
    pub fn new(name: impl Into<String>, program: Option<Program>) -> Self {
        Self { name: name.into(), program, wall: None, cpu: None, rounds: usize::MAX }
    }

    /// What haul is to need at most.
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
