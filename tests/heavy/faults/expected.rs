//! The expected outcome of each fault, by class of request. Exceptions of single platforms are in
//! `tests/it/platforms`.

use crate::faults::verbs::{Class, Column, Reason, Verb};
use crate::platforms::faults::{Exception, Expected, Outcome, but, cannot, no, ok, ok_undone, part};
use crate::platforms::of;

/// The expected outcomes of one fault, one per class of request.
pub struct Rule {
    pub fault: &'static str,
    read: Outcome,
    content: Outcome,
    stdout: Outcome,
    delete: Outcome,
    send: Outcome,
    place: Outcome,
    put: Outcome,
    make: Outcome,
}

impl Rule {
    pub const fn of(&self, class: Class) -> Outcome {
        match class {
            Class::Read => self.read,
            Class::Content => self.content,
            Class::Stdout => self.stdout,
            Class::Delete => self.delete,
            Class::Send => self.send,
            Class::Place => self.place,
            // The response has no content, as for a deletion, and an upload without its last step stores nothing.
            Class::Step => match (self.delete, self.place) {
                (Outcome::Ends(expected), _) if expected.exit == 0 => self.delete,
                (_, Outcome::Ends(expected)) => {
                    Outcome::Ends(Expected { done: expected.exit == 0, ..expected })
                }
                (_, other) => other,
            },
            Class::Put => self.put,
            Class::Make => self.make,
        }
    }

    /// The same for every class.
    const fn all(fault: &'static str, it: Outcome) -> Self {
        Self { fault, read: it, content: it, stdout: it, delete: it, send: it, place: it, put: it, make: it }
    }

    const fn reading(mut self, it: Outcome) -> Self {
        self.read = it;
        self
    }
    const fn fetching(mut self, it: Outcome) -> Self {
        self.content = it;
        self.stdout = it;
        self
    }
    const fn printing(mut self, it: Outcome) -> Self {
        self.stdout = it;
        self
    }
    const fn deleting(mut self, it: Outcome) -> Self {
        self.delete = it;
        self
    }
    const fn sending(mut self, it: Outcome) -> Self {
        self.send = it;
        self
    }
    const fn placing(mut self, it: Outcome) -> Self {
        self.place = it;
        self
    }
    const fn making(mut self, it: Outcome) -> Self {
        self.make = it;
        self
    }

    /// A fault in downloaded content.
    const fn of_content(fault: &'static str, it: Outcome) -> Self {
        Self::all(fault, cannot("only content can be checked for wrong bytes")).fetching(it)
    }

    /// A fault in the middle of a request body.
    const fn of_body(fault: &'static str, it: Outcome) -> Self {
        Self::all(fault, cannot("the body is empty or leaves in one write with the head: see `reset`"))
            .sending(it)
            .placing(it)
    }

    /// A response with wrong data about an uploaded file.
    const fn of_upload(fault: &'static str, it: Outcome) -> Self {
        Self::all(fault, cannot("only an upload has something to compare the response with"))
            .sending(it)
            .placing(it)
    }

    /// A redirect: followed for requests that read, refused for the others.
    const fn redirect(fault: &'static str, followed: Outcome) -> Self {
        Self::all(fault, no(8, "{p} redirects to *; haul does not follow redirects of * requests", 1))
            .reading(followed)
            .fetching(followed)
    }
}

const BROKE: &str = "{p} at http://127.0.0.1:* closed the connection*";
const SILENT: &str = "{p} at http://127.0.0.1:* did not respond within 2.0 s*";
const STALLED: &str = "{p} at http://127.0.0.1:* did not complete its response within 2.0 s*";
const PAGE: &str = "*sent text/html instead of*";
const UNREACHED: &str = "could not reach {p} at http://*gave up after 2 attempts*";
const TOO_MUCH: &str = "{p} sent a response larger than 64 MiB*";
const MISMATCH: &str = "*expected 300000 bytes, received *";
const STARTS_OVER: &str = "the server restarted the download, and standard output cannot be rewound*";
const DROPPED: &str = "{p} closed the connection partway through the content*";

/// The rules of all faults.
pub const RULES: &[Rule] = &[
    // The request is never sent: retried, then reported.
    Rule::all("no such host", no(7, UNREACHED, 0)),
    Rule::all("refused", no(7, UNREACHED, 0)),
    // The outcome is unknown: retried if idempotent; an upload lists the files first.
    Rule::all("reset", ok(2)).making(no(7, BROKE, 1)),
    Rule::all("reset always", no(7, BROKE, 2)).making(no(7, BROKE, 1)),
    Rule::of_body("reset in the body", ok(2)),
    Rule::of_body("reset in the body always", no(7, BROKE, 2)),
    Rule::all("closed", ok(2)).making(no(7, BROKE, 1)),
    Rule::all("closed always", no(7, BROKE, 2)).making(no(7, BROKE, 1)),
    Rule::of_body("half-closed in the body", ok(2)),
    Rule::all("lost", ok(2)).sending(ok(1)).making(but(7, BROKE, 1)),
    Rule::all("lost always", but(7, BROKE, 2)).sending(ok(1)).making(but(7, BROKE, 1)),
    Rule::all("lost, clock a day ahead", ok(2)).sending(ok(1)).making(but(7, BROKE, 1)),
    Rule::all("lost, clock a day behind", ok(2)).sending(ok(1)).making(but(7, BROKE, 1)),
    Rule::all("silent", ok(2)).making(no(7, SILENT, 1)),
    Rule::all("silent always", no(7, SILENT, 2)).making(no(7, SILENT, 1)),
    Rule::all("slow head always", no(7, SILENT, 2)).making(no(7, SILENT, 1)),
    Rule::all("stalled body", ok(2)).sending(ok(1)).making(but(7, STALLED, 1)),
    Rule::all("slow body", ok(1)),
    // Rate limits: retried after the time that the platform requests.
    Rule::all("429 seconds", ok(2)),
    Rule::all("429 date", ok(2)),
    Rule::all("429", ok(2)),
    Rule::all("429 always", no(6, "{p} returned 429: slow down*gave up after 2 attempts*", 2)),
    Rule::all("429 a day", no(6, "{p} returned 429*asked haul to wait 24 h*try again after 2*", 1)),
    Rule::all("429 until tomorrow", no(6, "{p} returned 429*asked haul to wait 2*try again after 2*", 1)),
    Rule::all("429 quota", no(6, "{p} returned 429: You*", 1)),
    // Server errors: the same as a lost response.
    Rule::all("408", ok(2)).making(no(8, "{p} returned 408*", 1)),
    Rule::all("425", ok(2)).making(no(8, "{p} returned 425*", 1)),
    Rule::all("499", ok(2)).making(no(8, "{p} returned 499*", 1)),
    Rule::all("500", ok(2)).making(no(8, "{p} returned 500*", 1)),
    Rule::all("500 always", no(8, "{p} returned 500: no luck *[31m today *request id: req-7*", 2))
        .making(no(8, "{p} returned 500*", 1)),
    Rule::all("500 though done", ok(2)).sending(ok(1)).making(but(8, "{p} returned 500*", 1)),
    Rule::all("524 page though done", ok(2)).sending(ok(1)).making(but(8, "{p} returned 524*", 1)),
    Rule::all("529 though done", ok(2)).sending(ok(1)).making(but(8, "{p} returned 529*", 1)),
    Rule::all("501", no(8, "{p} returned 501*", 1)),
    Rule::all("502 page", no(8, "{p} returned 502: Bad Gateway*", 2)).making(no(
        8,
        "{p} returned 502: Bad Gateway*",
        1,
    )),
    Rule::all("503", ok(2)).making(no(8, "{p} returned 503*", 1)),
    Rule::all("503 always", no(8, "{p} returned 503*", 2)).making(no(8, "{p} returned 503*", 1)),
    // Client errors: not retried.
    Rule::all("401", no(4, "{p} returned 401: bad key *, no luck*", 1)),
    Rule::all("403", no(4, "{p} returned 403*", 1)),
    Rule::all("404", no(3, "{p} returned 404*", 1)),
    Rule::all("409", no(1, "{p} returned 409: in use*", 1)),
    Rule::all("error of 100 MB", no(1, "{p} rejected the request*", 1)),
    // An unreadable success: not retried, but an upload looks for its file.
    Rule::all("page", no(8, "*HTML*", 1))
        .fetching(no(8, PAGE, 1))
        .sending(no(8, "*HTML*", 2))
        .placing(no(8, "*HTML*", 2)),
    Rule::all("page though done", but(8, "*HTML*", 1))
        .fetching(no(9, MISMATCH, 1))
        .sending(ok(1))
        .placing(but(8, "*HTML*", 2)),
    Rule::all("cut JSON", but(8, "*is not valid: EOF*", 1))
        .fetching(no(9, MISMATCH, 1))
        .deleting(ok(1))
        .sending(ok(1))
        .placing(but(8, "*is not valid: EOF*", 2)),
    Rule::all("empty", but(8, "*is empty*", 1))
        .fetching(no(9, MISMATCH, 1))
        .deleting(ok(1))
        .sending(ok(1))
        .placing(but(8, "*is empty*", 2)),
    Rule::all("wrong type", but(8, "*is not valid: invalid type*", 1))
        .fetching(no(9, MISMATCH, 1))
        .deleting(ok(1))
        .sending(ok(1))
        .placing(but(8, "*is not valid: invalid type*", 2)),
    Rule::all("empty object", but(8, "*", 1))
        .fetching(no(9, MISMATCH, 1))
        .deleting(ok(1))
        .sending(ok(1))
        .placing(but(8, "*", 2)),
    // Wrong lengths and framing.
    Rule::all("longer than sent", ok(2)).fetching(ok(1)).sending(ok(1)).making(but(7, BROKE, 1)),
    Rule::all("shorter than sent", but(8, "*is not valid: EOF*", 1))
        .fetching(no(9, MISMATCH, 1))
        .deleting(ok(1))
        .sending(ok(1))
        .placing(but(8, "*is not valid: EOF*", 2)),
    Rule::all("chunked garbage", but(8, "{p} sent an invalid response*", 1))
        .fetching(ok(2))
        .sending(ok(1))
        .placing(ok(2)),
    Rule::all("chunked without an end", ok(2)).fetching(ok(1)).sending(ok(1)).making(but(7, BROKE, 1)),
    Rule::all("gzip bomb", no(8, TOO_MUCH, 1))
        .fetching(no(8, "*sent content compressed with gzip*", 1))
        .sending(no(8, TOO_MUCH, 2))
        .placing(no(8, TOO_MUCH, 2)),
    Rule::all("without an end", no(8, TOO_MUCH, 1))
        .fetching(no(9, MISMATCH, 1))
        .sending(no(8, TOO_MUCH, 2))
        .placing(no(8, TOO_MUCH, 2)),
    Rule::all("head without an end", no(7, BROKE, 2)).making(no(7, BROKE, 1)),
    // Redirects.
    Rule::redirect("redirect in a loop", no(8, "{p} redirects to http://127.0.0.1:* in a loop*", 1)),
    Rule::redirect("301", ok(2)),
    Rule::redirect("302", ok(2)),
    Rule::redirect("303", ok(2)),
    // The method and the body stay the same.
    Rule::all("307", ok(2)),
    Rule::all("308", ok(2)),
    Rule::redirect("redirect to another port", no(1, "http://127.0.0.1:* returned 418*", 1)),
    Rule::redirect("redirect to another host", no(1, "http://127.0.0.2:* returned 418*", 1)),
    Rule::redirect(
        "redirect to a file",
        no(8, "{p} redirects to file:///etc/passwd, which is not an http or https URL*", 1),
    ),
    Rule::all("redirect to nowhere", no(8, "{p} returned 302*", 1)),
    // Content.
    Rule::of_upload(
        "wrong size stated",
        but(9, "*sent 40000 bytes, but the platform has 40001*haul rm -p {p} id:*", 1),
    ),
    Rule::of_upload("wrong checksum stated", but(9, "*haul rm -p {p} id:*", 1)),
    Rule::of_content("wrong bytes", no(9, "*", 1)),
    Rule::of_content("cut", ok(2)),
    Rule::of_content("range ignored", ok(2)).printing(no(8, STARTS_OVER, 2)),
    // The last attempt requests the whole content.
    Rule::of_content("wrong range", ok(3)).printing(no(8, STARTS_OVER, 3)),
    Rule::of_content("416", ok(3)).printing(no(8, STARTS_OVER, 3)),
    Rule::of_content("cut, then dead", part(7, BROKE, 3, 100_000)),
    Rule::of_content("cut at once always", no(7, DROPPED, 3)),
];

/// An exception that applies to every column of a kind.
pub struct General {
    applies: fn(&Column) -> bool,
    /// Its `column` is empty.
    pub exception: Exception,
}

pub static GENERAL: &[General] = &[
    General {
        applies: |_| true,
        exception: Exception {
            column: "",
            verbs: &[Verb::Retire],
            faults: &["404"],
            outcome: ok_undone(1),
            why: "a missing file needs no deletion: an earlier run may have deleted it",
        },
    },
    General {
        applies: |column| column.case.can().checksums.is_empty(),
        exception: Exception {
            column: "",
            verbs: &[Verb::Upload, Verb::Replace, Verb::Get, Verb::Stdout],
            faults: &["wrong bytes", "wrong checksum stated"],
            outcome: cannot(NO_CHECKSUM),
            why: NO_CHECKSUM,
        },
    },
];

const NO_CHECKSUM: Reason = "the platform returns no checksum, so a wrong byte cannot be detected";

/// The exceptions of a column; the first that matches applies.
pub fn exceptions(column: &Column) -> impl Iterator<Item = &'static Exception> {
    let own = of(column.case.provider).exceptions.iter();
    let own = own.filter(|exception| column.name.starts_with(exception.column));
    let general = GENERAL.iter().filter(|general| (general.applies)(column));
    own.chain(general.map(|general| &general.exception))
}
