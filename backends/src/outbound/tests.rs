use super::*;
use ::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn reach(private: bool) -> Reach {
    Reach { private, ca: None, deadline: Duration::from_secs(30) }
}

async fn get(url: &str, reach: &Reach) -> Result<Response<Bytes>, FetchError> {
    Outbound::new().fetch(Request::get(url).body(Bytes::new()).unwrap(), reach).await
}

/// Answers every connection with `answer`; the port, and how often it was asked.
async fn server(answer: Vec<u8>) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let asked = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
                while stream.read(&mut head).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    (port, count)
}

/// Spellings of addresses that are not to be reached. Each would lead to a server that listens.
#[tokio::test]
async fn no_spelling_leads_inside() {
    let (port, asked) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.0.0.1",
        "0177.0.0.1",
        "0177.0x0.1",
        "017700000001",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.1.1",
        "172.20.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        for scheme in ["http", "https"] {
            let error = get(&format!("{scheme}://{host}:{port}/x"), &reach(false)).await.unwrap_err();
            assert!(matches!(error, FetchError::Refused(_)), "{scheme} {host}: {error:?}");
        }
    }

    // Not every system resolves it.
    assert!(get(&format!("http://localhost.:{port}/x"), &reach(false)).await.is_err());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0, "nobody was asked");
    for url in
        ["ftp://127.0.0.1/", "https://user:secret@127.0.0.1/", "https://999.1.1.1/", "https://1.2.3.4.5/"]
    {
        let error = get(url, &reach(true)).await.unwrap_err();
        assert!(matches!(error, FetchError::Refused(_)), "{url}: {error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for url in ["http://169.254.169.254/", "https://[fd00:ec2::254]/", "http://0.0.0.0:1/"] {
        let error = get(url, &reach(true)).await.unwrap_err();
        assert!(matches!(error, FetchError::Refused(_)), "not even where private ones are allowed: {url}");
    }
}

#[tokio::test]
async fn what_is_allowed_is_answered() {
    let (port, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec()).await;
    for host in ["127.0.0.1", "localhost", "2130706433"] {
        let response = get(&format!("http://{host}:{port}/x"), &reach(true)).await.unwrap();
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, &b"hello"[..]));
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (inner, asked) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{inner}/\r\ncontent-length: 0\r\n\r\n"
    );
    let (port, _) = server(answer.into_bytes()).await;
    let response = get(&format!("http://127.0.0.1:{port}/"), &reach(true)).await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn answers_are_bounded() {
    let body = "x".repeat(LARGEST + 1);
    let whole = |head: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").into_bytes();
    let lengthy = format!("content-length: {}\r\n", body.len());
    let fits = format!("content-length: {LARGEST}\r\n");
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let table = [
        (whole(&lengthy, &body), Some(FetchError::Large)),
        (whole("transfer-encoding: chunked\r\n", &chunk), Some(FetchError::Large)),
        (whole("connection: close\r\n", &body), Some(FetchError::Large)),
        (whole(&fits, &body[..LARGEST]), None),
    ];
    for (answer, expected) in table {
        let (port, _) = server(answer).await;
        assert_eq!(get(&format!("http://127.0.0.1:{port}/"), &reach(true)).await.err(), expected);
    }
    for answer in [
        whole(&format!("x: {}\r\ncontent-length: 0\r\n", "y".repeat(2 * LARGEST_HEAD)), ""),
        whole("content-encoding: gzip\r\ncontent-length: 1\r\n", "x"),
        b"garbage\r\n\r\n".to_vec(),
        Vec::new(),
    ] {
        let (port, _) = server(answer).await;
        let error = get(&format!("http://127.0.0.1:{port}/"), &reach(true)).await.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn silence_ends_by_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let brief = Reach { deadline: Duration::from_millis(50), ..reach(true) };
    assert_eq!(get(&url, &brief).await.unwrap_err(), FetchError::Late);
}
