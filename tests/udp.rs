//! UDP sockets. To replay one: `cargo test --test udp <name>`.

#[path = "support/io/datagrams.rs"]
mod datagrams;

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::rc::Rc;

use datagrams::{run, settle, socket};
use futures::poll;
use greenroom::net::UdpSocket;
use greenroom::{JoinHandle, Rng, WaitReason, spawn, spawn_named, tasks, yield_now};

/// Two sockets connected with each other.
async fn pair() -> (UdpSocket, UdpSocket) {
    let ((one, first), (other, second)) = (socket().await, socket().await);
    one.connect(second).await.unwrap();
    other.connect(first).await.unwrap();
    (one, other)
}

#[test]
fn datagrams_go_and_come_back_with_their_addresses() {
    run(async {
        let ((server, server_at), (client, client_at)) = (socket().await, socket().await);
        let mut buffer = [0; 100];
        assert_eq!(client.send_to(b"one", server_at).await.unwrap(), 3);
        assert_eq!(client.send_to(b"", (Ipv4Addr::LOCALHOST, server_at.port())).await.unwrap(), 0);
        assert_eq!(server.peek_from(&mut buffer).await.unwrap(), (3, client_at));
        assert_eq!(server.recv_from(&mut buffer).await.unwrap(), (3, client_at), "it was only looked at");
        assert_eq!(&buffer[..3], b"one");
        assert_eq!(server.recv_from(&mut buffer).await.unwrap(), (0, client_at), "an empty one is one");
        assert_eq!(client.peer_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
        client.connect(format!("127.0.0.1:{}", server_at.port())).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), server_at);
        assert_eq!(client.send(b"two").await.unwrap(), 3);
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 3);
        let (stranger, _) = socket().await;
        stranger.send_to(b"ignored", client_at).await.unwrap();
        server.send_to(b"answer", client_at).await.unwrap();
        assert_eq!(client.recv(&mut buffer).await.unwrap(), 6, "a connected socket hears its peer alone");
        let error = client.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(client.try_recv_from(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(server.try_send_to(b"try", client_at).unwrap(), 3);
        assert_eq!(client.try_send(b"try!").unwrap(), 4);
        client.readable().await.unwrap();
        assert_eq!(client.try_recv_from(&mut buffer).unwrap(), (3, server_at));
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 4);
        let by_name = UdpSocket::bind("localhost:0").await.unwrap();
        assert!(by_name.local_addr().unwrap().ip().is_loopback());
        let error = UdpSocket::bind(server_at).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot bind to {server_at}: ")), "{error}");
    });
}

#[test]
fn a_datagram_that_the_buffer_cuts_is_told_with_its_length() {
    run(async {
        let ((server, server_at), (client, client_at)) = (socket().await, socket().await);
        for _ in 0..2 {
            client.send_to(b"0123456789", server_at).await.unwrap();
        }
        client.send_to(b"fits", server_at).await.unwrap();
        let mut buffer = [b'.'; 6];
        let cut = server.recv_datagram(&mut buffer[..4]).await.unwrap();
        assert_eq!((cut.bytes, cut.whole_bytes, cut.from, cut.is_cut()), (4, 10, client_at, true));
        assert_eq!(&buffer, b"0123..", "nothing is written behind the end");
        assert_eq!(server.recv_from(&mut buffer[..4]).await.unwrap(), (4, client_at));
        let whole = server.recv_datagram(&mut buffer[..4]).await.unwrap();
        assert_eq!((whole.bytes, whole.whole_bytes, whole.is_cut()), (4, 4, false));
        let error = client.send_to(&[0; 65_508], server_at).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(client.send_to(&[0; 65_507], server_at).await.unwrap(), 65_507);
        assert_eq!(server.recv_datagram(&mut []).await.unwrap().whole_bytes, 65_507);
    });
}

#[test]
fn a_refusal_is_the_error_of_one_call_and_the_socket_lives_on() {
    run(async {
        // An address of its own, so that no neighbour gets the port meanwhile.
        let server = UdpSocket::bind("127.69.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        drop(server);
        let client = UdpSocket::bind("127.69.0.1:0").await.unwrap();
        client.connect(address).await.unwrap();
        let mut buffer = [0; 9];
        for _ in 0..3 {
            client.send(b"anybody?").await.unwrap();
            let error = client.recv(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(poll!(pin!(client.recv(&mut buffer))).is_pending(), "it is told once");
        }
        let server = UdpSocket::bind(address).await.unwrap();
        client.send(b"hello").await.unwrap();
        let (count, from) = server.recv_from(&mut buffer).await.unwrap();
        server.send_to(&buffer[..count], from).await.unwrap();
        assert_eq!(client.recv(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn a_receive_that_is_given_up_takes_no_datagram() {
    run(async {
        let (near, far) = pair().await;
        let (mut rng, mut sent) = (Rng::new(1), 0_u16);
        let mut buffer = [0; 9];
        for expected in 0..2000_u16 {
            // Given up before a datagram is there, with one there, and after having been woken for it.
            if rng.below(2) == 0 {
                let mut given_up = Box::pin(near.recv(&mut buffer));
                if sent == expected {
                    assert!(poll!(&mut given_up).is_pending());
                    far.send(&sent.to_be_bytes()).await.unwrap();
                    sent += 1;
                }
                (0..rng.below(3)).for_each(|_| drop(Box::pin(near.readable())));
                yield_now().await;
            }
            while sent <= expected || (rng.below(3) == 0 && sent - expected < 50) {
                far.send(&sent.to_be_bytes()).await.unwrap();
                sent += 1;
            }
            assert_eq!(near.recv(&mut buffer).await.unwrap(), 2);
            assert_eq!(buffer[..2], expected.to_be_bytes());
        }
    });
}

#[test]
fn waiting_has_a_reason_and_every_waiter_is_woken() {
    run(async {
        let (near, far) = pair().await;
        let near = Rc::new(near);
        let receive = |near: Rc<UdpSocket>| async move { near.recv(&mut [0; 9]).await.unwrap() };
        let waiting: Vec<JoinHandle<usize>> =
            (0..3).map(|_| spawn_named("receiver", receive(near.clone()))).collect();
        settle().await;
        let reasons: Vec<WaitReason> = tasks()
            .into_iter()
            .filter(|task| task.name.as_deref() == Some("receiver"))
            .map(|task| task.reason)
            .collect();
        assert_eq!(reasons, [WaitReason::Read(near.as_raw_fd()); 3]);
        for _ in 0..3 {
            far.send(b"xy").await.unwrap();
        }
        for task in waiting {
            assert_eq!(task.await.unwrap(), 2);
        }
    });
}

/// Counts the turns that others get.
fn count_turns() -> (Rc<Cell<u32>>, JoinHandle<()>) {
    let turns = Rc::new(Cell::new(0));
    let count = turns.clone();
    let task = spawn(async move {
        loop {
            count.set(count.get() + 1);
            yield_now().await;
        }
    });
    (turns, task)
}

#[test]
fn a_socket_that_is_always_ready_lets_others_have_their_turn() {
    run(async {
        let (near, far) = pair().await;
        for _ in 0..150 {
            far.try_send(b"x").unwrap();
        }
        let (turns, _counting) = count_turns();
        yield_now().await;
        let start = turns.get();
        for _ in 0..150 {
            near.recv(&mut [0; 9]).await.unwrap();
        }
        assert_eq!(turns.get(), start + 1, "a share is 128 calls");
        let start = turns.get();
        for _ in 0..1280 {
            // What finds no room at the other end is lost, so this never waits.
            far.send(b"x").await.unwrap();
        }
        assert!(turns.get() >= start + 9, "{} turns", turns.get() - start);
    });
}

#[test]
fn a_hundred_thousand_datagrams_arrive_in_order() {
    run(async {
        let (near, far) = pair().await;
        let echo = spawn(async move {
            let mut buffer = [0; 64];
            loop {
                let (count, from) = far.recv_from(&mut buffer).await.unwrap();
                far.send_to(&buffer[..count], from).await.unwrap();
            }
        });
        let mut buffer = [0; 64];
        // As many at a time as surely find room in the receiver's buffer (`net.core.rmem_default`).
        for batch in 0..1000_u32 {
            for number in 0..50 {
                near.send(&(batch * 50 + number).to_be_bytes()).await.unwrap();
            }
            for number in 0..50 {
                assert_eq!(near.recv(&mut buffer).await.unwrap(), 4);
                assert_eq!(buffer[..4], (batch * 50 + number).to_be_bytes());
            }
        }
        drop(echo);
    });
}

#[test]
fn options_are_set_and_read_back() {
    run(async {
        let (socket, _) = socket().await;
        for on in [true, false] {
            socket.set_broadcast(on).unwrap();
            socket.set_multicast_loop_v4(on).unwrap();
            assert_eq!((socket.broadcast().unwrap(), socket.multicast_loop_v4().unwrap()), (on, on));
        }
        socket.set_ttl(7).unwrap();
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!((socket.ttl().unwrap(), socket.multicast_ttl_v4().unwrap()), (7, 3));
        let group = Ipv4Addr::new(239, 255, 77, 1);
        socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        assert!(socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err(), "it is a member already");
        socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        assert!(socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err(), "it is none any more");
        if let Ok(six) = StdSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
            let six = UdpSocket::from_std(six).unwrap();
            six.set_multicast_loop_v6(false).unwrap();
            assert!(!six.multicast_loop_v6().unwrap());
            let back = six.into_std();
            assert!(back.local_addr().unwrap().is_ipv6());
        }
    });
}
