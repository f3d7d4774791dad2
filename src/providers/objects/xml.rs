//! The XML documents of S3 and Google Cloud Storage.

use quick_xml::de::from_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::http::Reply;

/// A page of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct List {
    pub(super) contents: Vec<Entry>,
    pub(super) is_truncated: bool,
    /// `url` if the keys are percent-encoded.
    pub(super) encoding_type: Option<String>,
}

/// An object in a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) last_modified: Option<String>,
    #[serde(rename = "ETag")]
    pub(super) e_tag: Option<String>,
    pub(super) storage_class: Option<String>,
}

/// The response that starts a multipart upload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Begun {
    pub(super) upload_id: String,
}

/// The result of a copy or of a multipart upload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Stored {
    #[serde(rename = "ETag")]
    pub(super) e_tag: String,
}

/// An error.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: Option<String>,
}

/// The document in a response. `what` describes it in errors. If a successful status comes with an error document, the
/// result is an [unanswered](Error::is_unanswered) error.
pub(super) fn read<T: DeserializeOwned>(platform: &str, reply: &Reply, what: &str) -> Result<T> {
    let text = String::from_utf8_lossy(&reply.body);
    let error = |message: String| {
        Error::platform(message).with_status(reply.status).with_request_id(reply.request_id.clone())
    };
    if let Some(failure) = failure(&text) {
        let message = format!("{platform} could not complete the {what}: {}", failure.sentence());
        return Err(error(message).unanswered());
    }
    from_str(&text).map_err(|reason| error(format!("{platform}'s {what} is not valid")).caused_by(reason))
}

/// The error in a document.
pub(super) fn failure(text: &str) -> Option<Failure> {
    let start = text.trim_start().trim_start_matches('\u{feff}');
    let start =
        start.strip_prefix("<?xml").map_or(start, |rest| rest.split_once("?>").map_or("", |(_, rest)| rest));
    if !start.trim_start().starts_with("<Error") {
        return None;
    }
    from_str(text).ok()
}

impl Failure {
    /// The message and the code.
    pub(super) fn sentence(&self) -> String {
        match (self.message.trim().trim_end_matches('.'), self.code.as_str()) {
            ("", code) => code.to_owned(),
            (message, "") => message.to_owned(),
            (message, code) => format!("{message} ({code})"),
        }
    }
}

/// The document that combines parts with these tags.
pub(super) fn complete(tags: &[String]) -> String {
    let parts = (1..).zip(tags).map(|(number, tag): (u32, &String)| {
        let tag = quick_xml::escape::escape(tag.as_str());
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
    });
    format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_be_empty() {
        let list: List =
            from_str("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap();
        assert!(list.contents.is_empty() && !list.is_truncated);
        let page = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Contents><Key>a &amp; b </Key>
<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size></Contents>
<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes><Contents><Key>c</Key><Size>0</Size></Contents>
<IsTruncated>true</IsTruncated></ListBucketResult>"#;
        let list: List = from_str(page).unwrap();
        let keys: Vec<&str> = list.contents.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!((keys, list.is_truncated), (vec!["a & b ", "c"], true));
        assert_eq!(list.contents[0].e_tag.as_deref(), Some("\"e\""));
    }

    #[test]
    fn an_error_can_have_the_status_of_a_success() {
        let body =
            "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>Try again.</Message></Error>";
        let reply = Reply { status: 200, body: body.as_bytes().into(), ..Reply::default() };
        let error = read::<Stored>("s3", &reply, "copy").unwrap_err();
        assert!(error.is_unanswered());
        assert_eq!(error.message(), "s3 could not complete the copy: Try again (InternalError)");
        assert!(failure("<ListBucketResult/>").is_none() && failure("").is_none());
        assert_eq!(failure("<Error><Code>X</Code></Error>").unwrap().sentence(), "X");
    }

    #[test]
    fn parts_are_numbered_from_one() {
        assert_eq!(
            complete(&["\"a\"".to_owned(), "b".to_owned()]),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>b</ETag></Part></CompleteMultipartUpload>"
        );
    }
}
