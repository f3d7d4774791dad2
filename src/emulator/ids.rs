//! Random ids in the platforms' formats.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::hex as to_hex;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A random version 4 UUID, with dashes.
pub fn uuid() -> String {
    Uuid::new_v4().to_string()
}

/// `bytes` random bytes in lowercase hex.
pub fn hex(bytes: usize) -> String {
    to_hex(&random().take(bytes).collect::<Vec<_>>())
}

/// `bytes` random bytes.
pub fn bytes(bytes: usize) -> Vec<u8> {
    random().take(bytes).collect()
}

/// `length` random characters of `0-9A-Za-z`.
pub fn base62(length: usize) -> String {
    // 248 is a multiple of 62, so all characters have the same probability.
    let even = random().filter(|byte| *byte < 248);
    even.take(length).map(|byte| char::from(BASE62[usize::from(byte % 62)])).collect()
}

/// An id that sorts by creation time: nine characters of `0-9a-z` for the millisecond, followed by `random`
/// characters of `0-9A-Za-z`. Ids from the same millisecond also ascend, even if the clock is fixed.
pub fn time_sorted(now: Timestamp, random: usize) -> String {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = now.as_millisecond().max(0);
    let next = |last: i64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
    let mut rest = now.max(last + 1);
    let mut digits = [b'0'; 9];
    for digit in digits.iter_mut().rev() {
        *digit = BASE36[usize::try_from(rest % 36).unwrap_or_default()];
        rest /= 36;
    }
    digits.iter().map(|byte| char::from(*byte)).chain(base62(random).chars()).collect()
}

/// An endless sequence of random bytes. Bytes 6 and 8 of each UUID are skipped because they contain fixed bits.
fn random() -> impl Iterator<Item = u8> {
    std::iter::repeat_with(|| Uuid::new_v4().into_bytes())
        .flat_map(|bytes| bytes.into_iter().enumerate())
        .filter(|(at, _)| *at != 6 && *at != 8)
        .map(|(_, byte)| byte)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lengths_and_alphabets() {
        assert_eq!(hex(16).len(), 32);
        assert_eq!(bytes(33).len(), 33);
        let id = base62(5_000);
        assert_eq!(id.len(), 5_000);
        assert_eq!(id.bytes().collect::<HashSet<_>>().len(), 62, "all characters occur");
        assert_ne!(base62(20), base62(20));
    }

    #[test]
    fn time_sorted_ids_ascend_even_within_a_millisecond() {
        let now = Timestamp::from_second(1_767_323_045).expect("a time");
        let ids: Vec<_> = (0..100).map(|_| time_sorted(now, 13)).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids[0].len() == 22 && ids[0].starts_with("0m"), "{}", ids[0]);
    }
}
