//! Marks: identifiers that a platform stores with an uploaded file.
//!
//! A mark has the form `haul-HASH-RANDOM`: the first 32 hexadecimal digits of the content's SHA-256, and eight random
//! digits. The whole mark finds the file of an upload whose response was lost; the hash alone is used to compare
//! content.

/// The prefix of every mark.
const PREFIX: &str = "haul-";
/// Length of the hash part, in hexadecimal digits.
const HASH: usize = 32;
/// Length of the random part, in hexadecimal digits.
const RANDOM: usize = 8;

/// Creates a mark for content with this SHA-256 in hexadecimal.
pub fn new(sha256: &str) -> String {
    let hash: String = sha256.chars().take(HASH).collect();
    format!("{PREFIX}{}-{:08x}", hash.to_ascii_lowercase(), fastrand::u32(..))
}

/// The hash part of a mark: the first 32 digits of the content's SHA-256. Returns `None` if the text is not a mark.
pub fn parse(text: &str) -> Option<&str> {
    let (hash, random) = text.strip_prefix(PREFIX)?.split_once('-')?;
    let is_hex = |part: &str| part.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    (hash.len() == HASH && random.len() == RANDOM && is_hex(hash) && is_hex(random)).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

    #[test]
    fn a_mark_contains_half_of_the_hash() {
        let mark = new(SHA256);
        assert_eq!(parse(&mark), Some(&SHA256[..32]), "{mark}");
        assert_eq!(parse(&new(&SHA256.to_uppercase())), Some(&SHA256[..32]));
    }

    #[test]
    fn marks_of_equal_content_differ() {
        assert_ne!(new(SHA256), new(SHA256));
    }

    #[test]
    fn other_identifiers_are_not_marks() {
        let hash = &SHA256[..32];
        for text in [
            String::new(),
            "ext-1".to_owned(),
            // A mark in the format of the first edition.
            "haul-0b6ff6f2-5b1d-4a9c-9d5f-3f0c6f6f6f6f".to_owned(),
            format!("haul-{hash}"),
            format!("haul-{hash}-"),
            format!("haul-{hash}-1234567"),
            format!("haul-{hash}-123456789"),
            format!("haul-{hash}-1234567g"),
            format!("haul-{}-12345678", hash.to_uppercase()),
            format!("haul-{SHA256}-12345678"),
            format!("Haul-{hash}-12345678"),
            format!("{hash}-12345678"),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }
}
