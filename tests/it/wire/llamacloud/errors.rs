//! Every error format in the contract, as the response to a request.

use haul::providers::Query;
use serde::Deserialize;

use crate::support::server::Server;
use crate::wire::llamacloud::support::{TOKEN, open, text};

#[derive(Deserialize)]
struct Case {
    status: u16,
    body: String,
    #[serde(default, rename = "type")]
    content_type: Option<String>,
    kind: String,
    says: String,
}

#[tokio::test]
async fn every_error_has_its_kind_and_the_message_of_the_platform() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("replies/errors.json")).unwrap();
    for case in cases {
        let kind = case.content_type.as_deref().unwrap_or("application/json");
        let server = Server::start([text(case.status, kind, &case.body)]);
        let error = open(&server).list(&Query::default(), None).await.unwrap_err();
        let shown = format!("{error} {:?}", error.hints());
        assert_eq!(serde_json::json!(error.kind()), case.kind, "{} {}: {shown}", case.status, case.body);
        assert_eq!(error.status(), Some(case.status), "{shown}");
        assert!(shown.contains(&case.says), "{}: {shown}", case.says);
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}
