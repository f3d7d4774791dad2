//! The pieces of a body read one after the other: opened, measured, encoded and watched for changes.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::{Body, Piece};
use crate::error::{Error, Result};
use crate::model::Source;
use crate::progress::Progress;
use crate::source::Watched;

/// Source bytes that are encoded to base64 at once: three quarters of a large buffer, so that they fill one.
const SCRATCH: usize = 192 * 1024;

/// Where the file pieces of a body begin in their source.
pub(super) fn start_of(body: &Body) -> u64 {
    let from = body.pieces.iter().find_map(|piece| match piece {
        Piece::File { from, .. } => Some(*from),
        Piece::Whole { .. } => Some(0),
        Piece::Text(_) => None,
    });
    from.unwrap_or_default()
}

/// Fills buffers with a body. `take` gets each with how much of it is filled and the position of the file pieces, and
/// says whether to go on. A buffer has room for four bytes at least.
pub(super) fn feed(
    body: &Body,
    progress: &dyn Progress,
    mut buffer: impl FnMut() -> Option<Vec<u8>>,
    mut take: impl FnMut(Vec<u8>, usize, u64) -> bool,
) -> Result<()> {
    let mut position = start_of(body);
    let mut pieces = body.pieces.iter().map(Reading::open);
    let mut piece = pieces.next().transpose()?;
    while piece.is_some() {
        let Some(mut space) = buffer() else { return Ok(()) };
        let mut filled = 0;
        while let Some(reading) = &mut piece {
            if reading.left == 0 {
                // Before its last bytes go out: a changed file must not arrive as a whole one.
                reading.check()?;
                piece = pieces.next().transpose()?;
                continue;
            }
            let Some(moved) = reading.fill(&mut space[filled..], progress, &mut position)? else { break };
            filled += moved;
        }
        if filled > 0 && !take(space, filled, position) {
            return Ok(());
        }
    }
    Ok(())
}

/// A piece that is being read.
struct Reading<'a> {
    from: Origin<'a>,
    left: u64,
    /// Source bytes on their way to base64; empty where the bytes go as they are.
    scratch: Vec<u8>,
}

enum Origin<'a> {
    Memory(&'a [u8], bool),
    Disk(Watched),
}

impl<'a> Reading<'a> {
    fn open(piece: &'a Piece) -> Result<Self> {
        match piece {
            Piece::Text(text) => {
                Ok(Self { from: Origin::Memory(text, false), left: text.len() as u64, scratch: Vec::new() })
            }
            Piece::Whole { source, size } => Self::of_source(source, 0, *size, true, false),
            Piece::File { source, from, len, base64 } => Self::of_source(source, *from, *len, false, *base64),
        }
    }

    fn of_source(source: &'a Source, from: u64, len: u64, whole: bool, base64: bool) -> Result<Self> {
        let path = match source {
            Source::Bytes(bytes) => {
                let range = usize::try_from(from).ok().zip(usize::try_from(from + len).ok());
                let part = range.and_then(|(from, to)| bytes.get(from..to));
                let part =
                    part.ok_or_else(|| Error::failed("the content is shorter than its announced size"))?;
                return Ok(Self { from: Origin::Memory(part, true), left: len, scratch: scratch(base64) });
            }
            Source::Path(path) => path.as_path(),
            Source::Spooled(file) => file.path(),
        };
        let mut file = Watched::open(path)?;
        if file.size().is_some_and(|size| size < from + len || whole && size != len) {
            return Err(file.changed());
        }
        if from > 0 {
            file.start_at(from)?;
        }
        Ok(Self { from: Origin::Disk(file), left: len, scratch: scratch(base64) })
    }

    /// Moves as much as fits into `space`: how many bytes of it are filled, None if too little is free.
    fn fill(
        &mut self,
        space: &mut [u8],
        progress: &dyn Progress,
        position: &mut u64,
    ) -> Result<Option<usize>> {
        let encode = !self.scratch.is_empty();
        let room = if encode { (space.len() / 4 * 3).min(self.scratch.len()) } else { space.len() };
        let count = usize::try_from(self.left).map_or(room, |left| left.min(room));
        if count == 0 {
            return Ok(None);
        }
        let raw = if encode { &mut self.scratch[..count] } else { &mut space[..count] };
        match &mut self.from {
            Origin::Memory(rest, counts) => {
                let (now, later) = rest.split_at(count);
                raw.copy_from_slice(now);
                *rest = later;
                if *counts {
                    progress.read(*position, raw);
                    *position += count as u64;
                }
            }
            Origin::Disk(file) => {
                file.read_exact(raw).map_err(|error| file.unreadable(error))?;
                progress.read(*position, raw);
                *position += count as u64;
            }
        }
        self.left -= count as u64;
        if !encode {
            return Ok(Some(count));
        }
        // The room was computed for it: four characters for every three bytes begun.
        let written = STANDARD.encode_slice(&self.scratch[..count], space);
        written.map(Some).map_err(|error| Error::failed("base64 does not fit").caused_by(error))
    }

    /// Fails if the file is not what it was when it was opened.
    fn check(&self) -> Result<()> {
        if let Origin::Disk(file) = &self.from { file.check() } else { Ok(()) }
    }
}

fn scratch(base64: bool) -> Vec<u8> {
    if base64 { vec![0; SCRATCH] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::progress::Silent;

    /// Everything that [`feed`] fills into buffers of a size.
    fn wire(body: &Body, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let take = |space: Vec<u8>, filled, _| {
            all.extend_from_slice(&space[..filled]);
            true
        };
        feed(body, &Silent, || Some(vec![0; size]), take).unwrap();
        all
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_described(
            content in prop::collection::vec(any::<u8>(), 0..3000),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 0..6),
            size in 4_usize..300,
        ) {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&content).unwrap();
            let disk = Source::Path(file.path().to_owned());
            let memory = Source::Bytes(content.clone().into());
            let (mut pieces, mut expected) = (Vec::new(), Vec::new());
            for (at, base64, on_disk) in cuts {
                let from = at.index(content.len() + 1);
                let part = &content[from..];
                let text = format!("<{from}>");
                expected.extend_from_slice(text.as_bytes());
                pieces.push(Piece::Text(text.into()));
                expected.extend(if base64 { STANDARD.encode(part).into_bytes() } else { part.to_vec() });
                let source = if on_disk { disk.clone() } else { memory.clone() };
                pieces.push(Piece::File { source, from: from as u64, len: part.len() as u64, base64 });
            }
            let body = Body { content_type: None, pieces };
            let wire = wire(&body, size);
            prop_assert_eq!(wire.len() as u64, body.wire_len());
            prop_assert_eq!(wire, expected);
        }

        #[test]
        fn stretches_of_a_multiple_of_three_join_to_one_text(
            content in prop::collection::vec(any::<u8>(), 0..2000),
            triples in 1_u64..100,
            size in 4_usize..300,
        ) {
            let source = Source::Bytes(content.clone().into());
            let (all, step) = (content.len() as u64, triples * 3);
            let pieces = (0..all).step_by(usize::try_from(step).unwrap()).map(|from| Piece::File {
                source: source.clone(),
                from,
                len: step.min(all - from),
                base64: true,
            });
            let body = Body { content_type: None, pieces: pieces.collect() };
            prop_assert_eq!(wire(&body, size), STANDARD.encode(&content).into_bytes());
        }
    }
}
