//! Guesses the media type of an upload from the file extension.

/// Types of files commonly used with AI platforms. They take precedence over the general table, which maps some of
/// these extensions to other formats, such as `.ts` to video.
const TYPES: &[(&str, &str)] = &[
    ("jsonl", "application/jsonl"),
    ("ndjson", "application/x-ndjson"),
    ("ipynb", "application/x-ipynb+json"),
    ("md", "text/markdown"),
    ("markdown", "text/markdown"),
    ("mdx", "text/mdx"),
    ("rst", "text/x-rst"),
    ("tex", "text/x-tex"),
    ("ts", "text/typescript"),
    ("mts", "text/typescript"),
    ("cts", "text/typescript"),
    ("tsx", "text/tsx"),
    ("jsx", "text/jsx"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("cjs", "text/javascript"),
    ("py", "text/x-python"),
    ("pyi", "text/x-python"),
    ("rs", "text/x-rust"),
    ("go", "text/x-go"),
    ("java", "text/x-java"),
    ("kt", "text/x-kotlin"),
    ("kts", "text/x-kotlin"),
    ("rb", "text/x-ruby"),
    ("swift", "text/x-swift"),
    ("scala", "text/x-scala"),
    ("c", "text/x-c"),
    ("h", "text/x-c"),
    ("cpp", "text/x-c++"),
    ("cc", "text/x-c++"),
    ("hpp", "text/x-c++"),
    ("cs", "text/x-csharp"),
    ("php", "text/x-php"),
    ("lua", "text/x-lua"),
    ("r", "text/x-r"),
    ("sql", "application/sql"),
    ("sh", "text/x-shellscript"),
    ("bash", "text/x-shellscript"),
    ("toml", "application/toml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("csv", "text/csv"),
    ("tsv", "text/tab-separated-values"),
    ("log", "text/plain"),
    ("parquet", "application/vnd.apache.parquet"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("zst", "application/zstd"),
    ("gz", "application/gzip"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];

/// The media type for a file with this name.
pub(super) fn type_of(name: &str) -> String {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)) {
        Some((_, media_type)) => (*media_type).to_owned(),
        None => mime_guess::from_path(name).first_or_octet_stream().essence_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_code_and_data_have_types_of_their_own() {
        for (name, expected) in [
            ("a.ts", "text/typescript"),
            ("A.JSONL", "application/jsonl"),
            ("a.ndjson", "application/x-ndjson"),
            ("a.ipynb", "application/x-ipynb+json"),
            ("report.final.pdf", "application/pdf"),
            ("a.txt", "text/plain"),
            ("jsonl", "application/octet-stream"),
        ] {
            assert_eq!(type_of(name), expected, "{name}");
        }
        for (ending, media_type) in TYPES {
            let is_once = TYPES.iter().filter(|(other, _)| other == ending).count() == 1;
            assert!(is_once && media_type.parse::<mime_guess::Mime>().is_ok(), "{ending}");
        }
    }
}
