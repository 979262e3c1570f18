use super::*;
use crate::deadlines::Deadlines;
use ::http::HeaderValue;
use tokio::net::TcpListener;

/// A server that answers the requests of each connection with `answers`, one after the other, and then closes it.
/// Yields its URI and how many connections it took.
async fn server(answers: Vec<Vec<&'static str>>) -> (Uri, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/mcp?x=1", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        let mut requests = Vec::new();
        for connection in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in connection {
                let mut read = BytesMut::new();
                let is_whole = |read: &[u8]| {
                    read.ends_with(b"}") || (read.starts_with(b"GET") && read.ends_with(b"\r\n\r\n"))
                };
                while !is_whole(&read) {
                    assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the client closed");
                }
                requests.push(String::from_utf8(read.to_vec()).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        requests
    });
    (uri, task)
}

fn post(body: &'static str) -> Outgoing {
    let headers = vec![("mcp-session-id", HeaderValue::from_static("s1"))];
    Outgoing::new(Verb::Post, headers, Bytes::from_static(body.as_bytes()))
}

async fn text(client: &WireClient, request: Outgoing) -> Result<String, BackendError> {
    let incoming = client.send(&request).await?;
    let body = incoming.body.collect(1000, &Deadlines::endless()).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

const FIVE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn connections_are_used_again() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let interim =
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    let (uri, served) = server(vec![vec![FIVE, chunked, interim, FIVE]]).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-key", HeaderValue::from_static("secret"));
    let client = WireClient::new(&uri, &headers, Duration::from_secs(5)).unwrap();
    for expected in ["hello", "hello", "", "hello"] {
        assert_eq!(text(&client, post("{\"a\":1}")).await.unwrap(), expected);
    }
    let requests = served.await.unwrap();
    let authority = uri.authority().unwrap();
    assert_eq!(
        requests[0],
        format!(
            "POST /mcp?x=1 HTTP/1.1\r\nhost: {authority}\r\naccept: {ACCEPT}\r\ncontent-type: application/json\r\nuser-agent: {USER_AGENT}\r\nx-key: secret\r\nmcp-session-id: s1\r\ncontent-length: 7\r\n\r\n{{\"a\":1}}"
        )
    );
}

#[tokio::test]
async fn closed_and_unclean_connections_are_not_used_again() {
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    let (uri, served) =
        server(vec![vec![FIVE], vec![close], vec![more], vec![until_close], vec![FIVE]]).await;
    let client = WireClient::new(&uri, &HeaderMap::new(), Duration::from_secs(5)).unwrap();
    for _ in 0..5 {
        assert_eq!(text(&client, post("{}")).await.unwrap(), "hello");
        // The server's end of the connection must have arrived before the next request looks for it.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(served.await.unwrap().len(), 5);
}

#[tokio::test]
async fn broken_answers_are_errors() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "went away"),
        ("HTTP/1.1 200 OK\r\nContent-", "went away"),
        ("nonsense\r\n\r\n", "broke the protocol"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "broke the protocol"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "sent a message larger"),
    ] {
        let (uri, served) = server(vec![vec![answer]]).await;
        let client = WireClient::new(&uri, &HeaderMap::new(), Duration::from_secs(5)).unwrap();
        let error = text(&client, post("{}")).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{answer}: {error}");
        served.await.unwrap();
    }
    let nobody = "http://127.0.0.1:1/".parse().unwrap();
    let client = WireClient::new(&nobody, &HeaderMap::new(), Duration::from_secs(5)).unwrap();
    assert!(matches!(text(&client, post("{}")).await, Err(BackendError::Unreachable(_))));
}

#[tokio::test]
async fn a_configured_user_agent_replaces_weirs() {
    let (uri, served) = server(vec![vec![FIVE]]).await;
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("custom/1"));
    let client = WireClient::new(&uri, &headers, Duration::from_secs(5)).unwrap();
    text(&client, post("{}")).await.unwrap();
    let requests = served.await.unwrap();
    assert!(requests[0].contains("user-agent: custom/1\r\n") && !requests[0].contains(USER_AGENT));
}

/// More than the buffers of a connection hold.
const LARGE: usize = 64 << 20;

#[tokio::test]
async fn a_large_request_may_be_refused_early() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let served = tokio::spawn(async move {
        let mut open = Vec::new();
        for refusal in ["HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", FIVE] {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut BytesMut::with_capacity(100)).await.unwrap();
            stream.write_all(refusal.as_bytes()).await.unwrap();
            open.push(stream);
        }
        open
    });
    let client = WireClient::new(&uri, &HeaderMap::new(), Duration::from_secs(5)).unwrap();
    let large = Outgoing::new(Verb::Post, Vec::new(), vec![b' '; LARGE].into());
    assert_eq!(client.send(&large).await.unwrap().status, 413);
    // The rest of the first request would be taken for the second.
    assert_eq!(text(&client, post("{}")).await.unwrap(), "hello");
    assert_eq!(served.await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_said_before_the_connection_broke_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    server.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    // Writing fails at once, as it does some time after the server has closed.
    socket2::SockRef::from(&stream).shutdown(std::net::Shutdown::Write).unwrap();
    let mut connection = Connection { stream, read: BytesMut::new(), write: Vec::new() };
    let head = connection.exchange(b"POST / HTTP/1.1\r\n", &post("{}")).await.unwrap();
    assert_eq!((head.status, head.reusable), (401, false));
    drop(server);
    let error = connection.exchange(b"POST / HTTP/1.1\r\n", &post("{}")).await.unwrap_err();
    assert!(matches!(error, BackendError::Gone(_)), "{error}");
}
