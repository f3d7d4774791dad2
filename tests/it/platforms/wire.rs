//! Wire formats for servers that the tests write by hand.

/// A dialect of a hand-written server.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    pub provider: &'static str,
    pub name: &'static str,
    /// The settings that the provider needs.
    pub set: &'static [(&'static str, &'static str)],
    /// Whether the platform has links.
    pub links: bool,
    /// The format of the replies; None for a platform without a server.
    pub replies: Option<Replies>,
}

/// The format of a server's replies.
#[derive(Clone, Copy, Debug)]
pub struct Replies {
    /// The path of the base URL.
    pub base: &'static str,
    /// The path of the files below it.
    pub files: &'static str,
    /// The keys of id, name and size.
    pub keys: [&'static str; 3],
    /// Formats a page from its items and the cursor of the next page.
    pub page: fn(&str, Option<&str>) -> String,
    /// Whether a deletion is answered with 204 and no body.
    pub silent_delete: bool,
    /// Where the cursor of the next page comes from.
    pub cursor: Cursor,
    pub fetch: Fetch,
    /// The path segment of the bytes or of a presigned URL, below the file; may be empty.
    pub content: &'static str,
    /// The path segment of the links, below the file; may be empty.
    pub links: &'static str,
    /// The path that links are made at, if it does not name the file.
    pub links_apart: Option<&'static str>,
    /// A page of links that announces another one, if the links of a file come in pages.
    pub links_page: Option<&'static str>,
    /// Formats the members for the processing status and the reason of a failure, if the platform processes files.
    pub processing: Option<fn(&str, &str) -> String>,
}

/// Where the cursor of the next page comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The server says it.
    Told,
    /// The server says it, with its last page too: a page that is short or empty is the last one.
    ToldAlways,
    /// The server says that there is more, which is after the last id.
    LastId,
    /// There is one page.
    Never,
}

/// A page as OpenAI's API has it: more of them are asked for after the last id.
pub fn more_after(items: &str, next: Option<&str>) -> String {
    format!(r#"{{"object":"list","data":[{items}],"has_more":{}}}"#, next.is_some())
}

/// How a client downloads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// From a URL below the file's.
    Direct,
    /// From a presigned URL.
    Presigned,
    /// Through a link that is made for the download and revoked after it.
    Link,
}
