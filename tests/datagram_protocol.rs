//! Datagrams as callbacks: in which order they come, panics, refusals, and what is sent before the end. To
//! replay one: `cargo test --test datagram_protocol <name>`.

#[path = "support/io/datagrams.rs"]
mod datagrams;
#[path = "support/io/logs.rs"]
mod logs;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use datagrams::{run, settle, socket};
use greenroom::net::{DatagramProtocol, DatagramTransport, UdpSocket, UnixDatagram, bind_protocol};
use greenroom::{Runtime, WaitReason, tasks};
use log::LevelFilter;
use logs::logged;

/// A protocol that tells what happens to it, echoes, and panics when it is told to.
#[derive(Default)]
struct Echo {
    story: Rc<RefCell<Vec<String>>>,
    transport: Option<DatagramTransport>,
}

impl DatagramProtocol for Echo {
    fn connection_made(&mut self, transport: DatagramTransport) {
        self.story.borrow_mut().push("made".into());
        self.transport = Some(transport);
    }

    fn datagram_received(&mut self, bytes: &[u8], from: SocketAddr) {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.story.borrow_mut().push(text.clone());
        let transport = self.transport.as_ref().unwrap();
        match text.as_str() {
            "panic" => panic!("it was told to"),
            "close" => transport.close(),
            _ => transport.send_to(bytes, from).unwrap(),
        }
    }

    fn error_received(&mut self, error: io::Error) {
        self.story.borrow_mut().push(format!("{:?}", error.kind()));
    }

    fn connection_lost(&mut self) {
        self.story.borrow_mut().push("lost".into());
    }
}

#[test]
fn a_protocol_object_is_called_in_order() {
    run(async {
        let (transport, task) = bind_protocol("127.0.0.1:0", Echo::default()).await.unwrap();
        let (client, _) = socket().await;
        client.connect(transport.socket().local_addr().unwrap()).await.unwrap();
        let mut buffer = [0; 9];
        for word in ["one", "two"] {
            client.send(word.as_bytes()).await.unwrap();
            assert_eq!(client.recv(&mut buffer).await.unwrap(), 3);
            assert_eq!(&buffer[..3], word.as_bytes());
        }
        client.send(b"close").await.unwrap();
        client.send(b"too late").await.unwrap();
        let protocol = task.await.unwrap();
        assert_eq!(*protocol.story.borrow(), ["made", "one", "two", "close", "lost"]);
        assert!(transport.is_closing());
        let error = transport.send(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        let (transport, task) = bind_protocol("127.0.0.1:0", Echo::default()).await.unwrap();
        settle().await;
        transport.clone().close();
        assert_eq!(*task.await.unwrap().story.borrow(), ["made", "lost"]);
    });
}

#[test]
fn a_protocol_is_told_of_refusals_and_goes_on() {
    run(async {
        let server = UdpSocket::bind("127.69.0.2:0").await.unwrap();
        let gone = server.local_addr().unwrap();
        drop(server);
        let socket = UdpSocket::bind("127.69.0.2:0").await.unwrap();
        socket.connect(gone).await.unwrap();
        let echo = Echo::default();
        let story = echo.story.clone();
        let (transport, _task) = socket.run_protocol(echo).unwrap();
        transport.send(b"anybody?").unwrap();
        settle().await;
        assert_eq!(*story.borrow(), ["made", "ConnectionRefused"]);
        let server = UdpSocket::bind(gone).await.unwrap();
        server.send_to(b"here", transport.socket().local_addr().unwrap()).await.unwrap();
        assert_eq!(server.recv(&mut [0; 9]).await.unwrap(), 4, "it was echoed");
    });
}

#[test]
fn a_panic_in_a_callback_ends_that_endpoint_alone() {
    let ((), lines) = logged(LevelFilter::Warn, || {
        run(async {
            let (client, _) = socket().await;
            let mut endpoints = Vec::new();
            for _ in 0..3 {
                endpoints.push(bind_protocol("127.0.0.1:0", Echo::default()).await.unwrap());
            }
            let addresses: Vec<SocketAddr> =
                endpoints.iter().map(|(transport, _)| transport.socket().local_addr().unwrap()).collect();
            client.send_to(b"panic", addresses[0]).await.unwrap();
            client.send_to(b"panic", addresses[1]).await.unwrap();
            let (transport, task) = endpoints.remove(0);
            let error = task.await.map(|_| ()).unwrap_err();
            assert!(error.is_panic() && error.to_string().ends_with("panicked: it was told to"), "{error}");
            assert!(transport.is_closing());
            drop(endpoints.remove(0));
            client.send_to(b"well?", addresses[2]).await.unwrap();
            assert_eq!(client.recv(&mut [0; 9]).await.unwrap(), 5);
        });
    });
    assert_eq!(lines.len(), 1, "the panic that nobody awaited: {lines:#?}");
    assert!(lines[0].contains("datagram endpoint") && lines[0].contains("it was told to"), "{}", lines[0]);
}

/// A protocol that counts.
struct Counting(u32);

impl DatagramProtocol<std::os::unix::net::UnixDatagram> for Counting {
    fn datagram_received(&mut self, _: &[u8], _: greenroom::net::UnixAddress) {
        self.0 += 1;
    }
}

/// A protocol that keeps what it is told.
#[derive(Default)]
struct Told(Rc<RefCell<Vec<Result<usize, String>>>>);

impl DatagramProtocol<std::os::unix::net::UnixDatagram> for Told {
    fn datagram_received(&mut self, bytes: &[u8], _: greenroom::net::UnixAddress) {
        self.0.borrow_mut().push(Ok(bytes.len()));
    }

    fn error_received(&mut self, error: io::Error) {
        self.0.borrow_mut().push(Err(error.to_string()));
    }
}

#[test]
fn a_datagram_is_received_whole_or_told_as_an_error() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let protocol = Told::default();
        let story = protocol.0.clone();
        let (_transport, _task) = near.run_protocol(protocol).unwrap();
        far.send(&[0; 100_000]).await.unwrap();
        settle().await;
        // More than an endpoint has room for, if the system lets a sender have such a buffer.
        socket2::SockRef::from(&far).set_send_buffer_size(300_000).unwrap();
        let mut expected = vec![Ok(100_000)];
        if far.try_send(&[0; 300_000]).is_ok() {
            let cut = "a datagram of 300000 bytes, sent by (unnamed), is too long: 262144 are the most";
            expected.push(Err(cut.into()));
        }
        far.send(&[]).await.unwrap();
        expected.push(Ok(0));
        settle().await;
        assert_eq!(*story.borrow(), expected);
    });
}

#[test]
fn the_socket_of_another_loop_is_refused() {
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let socket = one.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
    let error = other.enter(|| socket.run_protocol(Echo::default())).unwrap_err();
    assert!(error.to_string().contains("use it inside of its own loop"), "{error}");
}

#[test]
fn what_waits_is_bounded_also_when_it_is_next_to_nothing() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let (transport, _task) = near.run_protocol(Counting(0)).unwrap();
        let sent = (0..100_000).take_while(|_| transport.send(b"").is_ok()).count();
        assert!(sent < 100_000);
        drop(far);
    });
}

#[test]
fn what_finds_no_room_is_kept_and_sent_before_the_end() {
    run(async {
        // Datagrams through Unix sockets are never lost: a full receiver stops the sender.
        let (near, far) = UnixDatagram::pair().unwrap();
        let (transport, task) = near.run_protocol(Counting(0)).unwrap();
        far.send(b"in time").await.unwrap();
        settle().await;
        let mut sent = 0_u32;
        let refusal = loop {
            match transport.send(&[&sent.to_be_bytes()[..], &[0; 9996]].concat()) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refusal.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(refusal.to_string(), "1040000 bytes wait to be sent already");
        settle().await;
        let mut buffer = vec![0; 10_000];
        let mut at_once = 0;
        while far.try_recv(&mut buffer).is_ok() {
            at_once += 1;
        }
        settle().await;
        transport.send(&[0; 10_000]).expect("the task has sent some, as soon as there was room");
        transport.close();
        far.send(b"too late").await.unwrap();
        settle().await;
        assert!(!task.is_finished(), "it is not over yet");
        for expected in at_once..sent {
            assert_eq!(far.recv(&mut buffer).await.unwrap(), 10_000);
            assert_eq!(buffer[..4], expected.to_be_bytes());
        }
        assert_eq!(far.recv(&mut buffer).await.unwrap(), 10_000);
        assert_eq!(task.await.unwrap().0, 1, "what came too late was not received");
        assert_eq!(sent - at_once, 104, "as many as a megabyte holds");
    });
}

#[test]
fn an_endpoint_that_is_cancelled_is_closed() {
    run(async {
        let (transport, mut task) = bind_protocol("127.0.0.1:0", Echo::default()).await.unwrap();
        let (address, endpoint) = (transport.socket().local_addr().unwrap(), task.id());
        settle().await;
        let info = tasks().into_iter().find(|info| info.id == endpoint).unwrap();
        assert_eq!(info.reason, WaitReason::Read(transport.socket().as_raw_fd()));
        assert!(task.cancel().await.is_none());
        assert!(transport.is_closing());
        drop(transport);
        StdSocket::bind(address).expect("the port is free again");
    });
}
