//! The path for messages, and the one stream.

use std::string::ToString;
use std::time::Duration;
use std::vec;

use super::*;
use crate::{About, Origin};

const EPOCH: Timestamp = Timestamp::EPOCH;

/// The examples of the Python SDK's own tests, and some more.
#[test]
fn a_path_for_messages_leads_nowhere_else() {
    for (given, path) in [
        ("/messages/", "/messages/"),
        ("messages/", "/messages/"),
        ("/", "/"),
        ("", "/"),
        ("/a/b-c_d~e.f/%20", "/a/b-c_d~e.f/%20"),
    ] {
        assert_eq!(MessagePath::new(given).unwrap().as_str(), path);
    }
    for (given, fault) in [
        ("http://example.com/messages/", PathFault::Scheme),
        ("ftp://example.com/messages/", PathFault::Scheme),
        ("/redirect/http://example.com", PathFault::Scheme),
        ("//example.com/messages/", PathFault::Authority),
        ("/messages/?q=test", PathFault::Query),
        ("/messages/#fragment", PathFault::Fragment),
        // What browsers take for `//`.
        ("/\\example.com", PathFault::Character('\\')),
        ("/messages\r\ndata: x", PathFault::Character('\r')),
        ("/a b", PathFault::Character(' ')),
        ("/é", PathFault::Character('é')),
    ] {
        assert_eq!(MessagePath::new(given), Err(fault), "{given}");
        assert!(fault.to_string().starts_with("the path for messages must be relative"));
    }
}

#[test]
fn the_session_of_a_post_is_in_its_query_once() {
    let id = SessionId::from_entropy([9; 16]);
    let text = id.as_str();
    let told = MessagePath::new("/m").unwrap().for_session(&id);
    assert_eq!(told, format!("/m?session_id={text}"));
    for query in [format!("session_id={text}"), format!("a=b&session_id={text}&c"), format!("&&session_id={text}&")] {
        assert_eq!(MessagePath::session_in(Some(&query)), Some(id.clone()), "{query}");
    }
    let twice = format!("session_id={text}&session_id={text}");
    for query in ["", "session_id", "session_id=", "session_id=a%20b c", "sessionid=1", &twice] {
        assert_eq!(MessagePath::session_in(Some(query)), None, "{query:?}");
    }
    assert_eq!(MessagePath::session_in(None), None);
}

fn transmit(frame: &str) -> Transmit {
    Transmit::new(Origin::STREAM, About::Notice, frame.as_bytes().to_vec())
}

fn read(stream: &mut SseStream) -> (usize, String, usize) {
    let (mut heads, mut text, mut ends) = (0, String::new(), 0);
    while let Some(output) = stream.poll_output() {
        match output {
            Output::Head(head) => {
                assert!(head.status == 200 && head.headers["content-type"] == "text/event-stream", "{head:?}");
                heads += 1;
            }
            Output::Data(data) => text.push_str(core::str::from_utf8(&data).unwrap()),
            Output::End => ends += 1,
        }
    }
    (heads, text, ends)
}

/// When a client connects, the server MUST send an event `endpoint` with the URI for its messages, and everything that it says as events
/// `message` (specification 2024-11-05: basic/transports, HTTP with SSE).
#[test]
fn the_stream_begins_with_the_endpoint_and_has_all_messages() {
    let (id, path) = (SessionId::from_entropy([1; 16]), MessagePath::new("/messages/").unwrap());
    let mut stream = SseStream::new(EPOCH, &id, &path, &HttpLimits::default());
    let endpoint = format!("event: endpoint\ndata: /messages/?session_id={}\n\n", "01".repeat(16));
    assert_eq!(read(&mut stream), (1, endpoint, 0));
    stream.push(EPOCH, &transmit("{\"a\":1}"));
    stream.push(EPOCH, &transmit("{\"b\":2}"));
    let messages = "event: message\ndata: {\"a\":1}\n\nevent: message\ndata: {\"b\":2}\n\n";
    assert_eq!(read(&mut stream), (0, messages.into(), 0));
    stream.end();
    stream.end();
    stream.push(EPOCH, &transmit("{\"late\":1}"));
    assert_eq!(read(&mut stream), (0, String::new(), 1));
    assert_eq!(stream.poll_timeout(), None);
}

#[test]
fn a_silent_stream_shows_comments_and_a_full_one_wants_nothing() {
    let (id, path) = (SessionId::from_entropy([1; 16]), MessagePath::new("/m").unwrap());
    let limits = HttpLimits { stream_output: 1000, ..HttpLimits::default() };
    let mut stream = SseStream::new(EPOCH, &id, &path, &limits);
    read(&mut stream);
    let due = EPOCH + Duration::from_secs(15);
    assert_eq!(stream.poll_timeout(), Some(due));
    stream.handle_timeout(due);
    stream.handle_timeout(due);
    let (_, text, _) = read(&mut stream);
    assert!(text.starts_with(':') && text.ends_with("\n\n"), "{text}");
    assert!(stream.wants_frames());
    for text in vec!["\"x\""; 100] {
        stream.push(due, &transmit(text));
    }
    assert!(!stream.wants_frames());
    read(&mut stream);
    assert!(stream.wants_frames());
}
