//! Ids for the `local` space: short enough to type, and ordered by time.

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::FileId;

/// Crockford's base 32 in lowercase, which omits letters that resemble digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new id of sixteen characters: 45 bits of milliseconds, so that ids sort by time, and 35 random bits. If `newest`
/// is from the same or a later millisecond, the new id is `newest` plus a random increment, so that ids also sort in
/// order of creation.
pub fn new_id(now: Timestamp, newest: Option<&FileId>) -> FileId {
    let time = u128::try_from(now.as_millisecond()).unwrap_or_default() & ((1 << 45) - 1);
    let random = Uuid::new_v4().as_u128() & ((1 << 35) - 1);
    let newest = newest.and_then(id_value).unwrap_or_default();
    let value = if newest < time << 35 { time << 35 | random } else { newest + 1 + (random >> 7) };
    let digit = |place: u32| char::from(DIGITS[(value >> (5 * place) & 31) as usize]);
    FileId((0..16).rev().map(digit).collect())
}

fn id_value(id: &FileId) -> Option<u128> {
    let digit = |byte| DIGITS.iter().position(|digit| *digit == byte);
    let add = |value: u128, byte| Some(value << 5 | digit(byte)? as u128);
    (id.as_str().len() == 16).then(|| id.as_str().bytes().try_fold(0, add))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_of_creation() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        let mut ids = vec![new_id(at(1_800_000_000_000), None)];
        for milliseconds in [0, 0, 0, 1, 1, 5, 1_000_000] {
            let id = new_id(at(1_800_000_000_000 + milliseconds), ids.last());
            assert!(id > ids[ids.len() - 1] && id.as_str().len() == 16);
            ids.push(id);
        }
        assert!(ids[0].as_str().starts_with("1mcc5rm00"), "{}", ids[0]);
        assert_eq!(id_value(&"not one".into()), None);
    }
}
