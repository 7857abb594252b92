//! Grants rights on a broker, by the one request of Kafka's protocol for that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The kind of thing that a right applies to.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    /// A topic, by its name.
    Topic = 2,
    /// A group of consumers.
    Group = 3,
}

/// An operation that a user may do.
#[derive(Clone, Copy, Debug)]
pub enum Right {
    /// To read, and to see it.
    Read = 3,
    /// To write, and to see it.
    Write = 4,
}

const CREATE_ACLS: i16 = 30;
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;

fn text(into: &mut Vec<u8>, text: &str) {
    into.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
    into.extend(text.as_bytes());
}

/// Grants a right to a user.
pub(super) fn grant(broker: SocketAddr, user: &str, resource: Resource, name: &str, right: Right) {
    let mut request = Vec::new();
    request.extend(CREATE_ACLS.to_be_bytes());
    request.extend(1_i16.to_be_bytes());
    request.extend(7_i32.to_be_bytes());
    text(&mut request, "onsale-tests");
    request.extend(1_i32.to_be_bytes());
    request.push(resource as u8);
    text(&mut request, name);
    request.extend(LITERAL.to_be_bytes());
    text(&mut request, &format!("User:{user}"));
    text(&mut request, "*");
    request.push(right as u8);
    request.extend(ALLOW.to_be_bytes());
    let mut stream = TcpStream::connect(broker).expect("the broker listens");
    stream.write_all(&i32::try_from(request.len()).expect("a short request").to_be_bytes()).expect("a request");
    stream.write_all(&request).expect("a request");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut answer).expect("an answer");
    // The number of the request, how long it was throttled, one result: its code.
    assert_eq!(answer[12..14], [0, 0], "{}", String::from_utf8_lossy(&answer));
}
