//! What the tests of datagrams share.

use std::net::SocketAddr;
use std::time::Duration;

use greenroom::net::UdpSocket;
use greenroom::{Runtime, timeout, yield_now};

/// Runs a test that must not hang.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(20), test).await.expect("nothing got stuck") })
}

/// Lets the loop look at the world several times.
pub async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// A socket on a free port, and its address.
pub async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
