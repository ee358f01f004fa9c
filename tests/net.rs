//! TCP: finding and reaching addresses, listening, halves, options, and bytes in bulk. To replay one:
//! `cargo test --test net <name>`.

#[path = "support/io/child.rs"]
mod child;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener as StdListener};
use std::pin::{Pin, pin};
use std::task::Context;
use std::time::Duration;

use child::{in_child, no_child_meanwhile, open_descriptors};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt, join, poll};
use greenroom::net::{ListenOptions, TcpListener, TcpStream};
use greenroom::{Runtime, WaitReason, spawn, spawn_named, tasks, timeout, yield_now};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test that must not hang.
fn run<F: Future>(test: F) -> F::Output {
    let _no_child = no_child_meanwhile();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { timeout(20 * SECOND, test).await.expect("nothing got stuck") })
}

/// Lets the loop look at the world several times.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// A listener on a free port, and its address.
async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listen().await;
    let near = TcpStream::connect(address).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// An address where nobody listens: a port that a neighbouring test had might be another's by now.
const CLOSED: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 66, 0, 1)), 1),
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 66, 0, 2)), 1),
];

#[test]
fn a_name_is_looked_up_and_every_address_behind_it_tried() {
    run(async {
        let (listener, address) = listen().await;
        let by_text = TcpStream::connect(format!("localhost:{}", address.port())).await.unwrap();
        let by_pair = TcpStream::connect(("localhost", address.port())).await.unwrap();
        for client in [by_text, by_pair] {
            let (server, peer) = listener.accept().await.unwrap();
            assert_eq!(client.peer_addr().unwrap(), address);
            assert_eq!(client.local_addr().unwrap(), peer);
            assert_eq!((server.peer_addr().unwrap(), server.local_addr().unwrap()), (peer, address));
        }
        let both = [CLOSED[0], address];
        TcpStream::connect(&both[..]).await.expect("the second one answers");
        let error = TcpStream::connect(&CLOSED[..]).await.unwrap_err();
        assert!(error.to_string().contains(&CLOSED[1].to_string()), "the last one: {error}");
        let error = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(error.to_string(), "no address to connect to");
    });
}

#[test]
fn a_connect_that_fails_says_where_and_why() {
    run(async {
        let address = CLOSED[0];
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
        let error = TcpStream::connect("nobody.invalid:80").await.unwrap_err();
        assert!(error.to_string().starts_with("cannot look up \"nobody.invalid\": "), "{error}");
        let error = TcpStream::connect("nonsense").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "\"nonsense\" is not an address; write host:port");
    });
}

/// A listener that holds hardly any connections, and those that it holds: it takes no more.
async fn full_house(backlog: i32) -> (TcpListener, Vec<TcpStream>) {
    let mut options = ListenOptions::default();
    options.backlog = backlog;
    let listener = TcpListener::bind_with("127.0.0.1:0", options).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut inside = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(50), TcpStream::connect(address)).await {
        inside.push(stream.unwrap());
    }
    (listener, inside)
}

#[test]
fn a_connect_can_be_given_up_and_leaves_nothing() {
    in_child("a_connect_can_be_given_up_and_leaves_nothing", || {
        run(async {
            let (listener, _inside) = full_house(0).await;
            let (address, before) = (listener.local_addr().unwrap(), open_descriptors());
            let mut connecting = spawn_named("caller", TcpStream::connect(address));
            settle().await;
            assert_eq!(open_descriptors(), before + 1);
            let caller = tasks().into_iter().find(|task| task.name.as_deref() == Some("caller")).unwrap();
            assert!(matches!(caller.reason, WaitReason::Connect(_)), "{caller}");
            connecting.cancel();
            assert!(connecting.await.unwrap_err().is_cancelled());
            assert!(timeout(Duration::from_millis(5), TcpStream::connect(address)).await.is_err());
            assert_eq!(open_descriptors(), before);
            // A look-up that is given up ends on its own.
            drop(poll!(pin!(TcpStream::connect("localhost:1"))));
        });
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    run(async {
        let (_listener, address) = listen().await;
        assert_ne!(address.port(), 0);
        let error = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot listen at {address}: ")), "{error}");
        // The first address that can be had: this one is nobody's (RFC 5737).
        let choice = [SocketAddr::from(([192, 0, 2, 1], 0)), SocketAddr::from(([127, 0, 0, 1], 0))];
        let second = TcpListener::bind(&choice[..]).await.unwrap();
        assert_eq!(second.local_addr().unwrap().ip(), choice[1].ip());
        let by_name = TcpListener::bind("localhost:0").await.unwrap();
        assert!(by_name.local_addr().unwrap().ip().is_loopback());
    });
}

#[test]
fn a_server_can_start_again_at_once_where_it_was() {
    run(async {
        // An address of its own, so that no neighbour gets the port meanwhile.
        let listener = TcpListener::bind("127.67.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        // Closing first leaves this side of the connection in TIME_WAIT.
        drop((server, listener));
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        drop(client);
        let mut options = ListenOptions::default();
        options.reuse_address = false;
        let error = TcpListener::bind_with(address, options).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        TcpListener::bind(address).await.expect("by default the address is used again");
    });
}

#[test]
fn listeners_that_say_so_share_a_port() {
    run(async {
        let mut options = ListenOptions::default();
        options.reuse_port = true;
        let one = TcpListener::bind_with("127.0.0.1:0", options).await.unwrap();
        let address = one.local_addr().unwrap();
        let other = TcpListener::bind_with(address, options).await.unwrap();
        assert!(TcpListener::bind(address).await.is_err());
        let clients = futures::future::join_all((0..50).map(|_| TcpStream::connect(address))).await;
        let mut served = [0, 0];
        for _ in &clients {
            match futures::future::select(pin!(one.accept()), pin!(other.accept())).await {
                futures::future::Either::Left(_) => served[0] += 1,
                futures::future::Either::Right(_) => served[1] += 1,
            }
        }
        assert!(served[0] > 0 && served[1] > 0, "the kernel spreads connections: {served:?}");
    });
}

#[test]
fn the_backlog_is_as_long_as_asked() {
    run(async {
        // Linux holds one more than asked, and may let one slip in when it is busy.
        let (listener, inside) = full_house(5).await;
        assert!((6..=8).contains(&inside.len()), "{} connections wait", inside.len());
        let mut next = Box::pin(TcpStream::connect(listener.local_addr().unwrap()));
        assert!(poll!(&mut next).is_pending());
        listener.accept().await.unwrap();
        listener.accept().await.unwrap();
        // The kernel tries again within a second or so.
        next.await.expect("now there is room");
    });
}

#[test]
fn an_accept_that_is_given_up_takes_no_connection_and_all_come_in_as_a_stream() {
    run(async {
        let (listener, address) = listen().await;
        for _ in 0..3 {
            assert!(poll!(pin!(listener.accept())).is_pending());
            settle().await;
        }
        let clients = futures::future::join_all((0..10).map(|_| TcpStream::connect(address))).await;
        let peers: Vec<SocketAddr> = listener.incoming().take(10).map(|next| next.unwrap().1).collect().await;
        let expected: Vec<SocketAddr> =
            clients.iter().map(|client| client.as_ref().unwrap().local_addr().unwrap()).collect();
        assert_eq!(peers, expected, "in the order in which they came");
    });
}

#[test]
fn halves_go_their_own_ways_and_find_together_again() {
    run(async {
        let (mut near, far) = pair().await;
        // By its path: `AsyncReadExt` has a `split` as well.
        let (mut from, mut to) = TcpStream::split(&mut near);
        let echo = async {
            let mut buffer = [0; 100];
            let count = far.read(&mut buffer).await.unwrap();
            far.write_all(&buffer[..count]).await.unwrap();
        };
        let mut back = [0; 5];
        let (sent, received, ()) = join!(to.write_all(b"hello"), from.read_exact(&mut back), echo);
        sent.and(received).unwrap();
        assert_eq!(&back, b"hello");
        let (from, to) = near.into_split();
        let (stranger, _) = pair().await.0.into_split();
        let not_one = stranger.reunite(to).unwrap_err();
        assert_eq!(not_one.to_string(), "the two halves are not of one stream");
        let near = from.reunite(not_one.1).expect("they are");
        near.write_all(b"not closed").await.unwrap();
        assert_eq!(far.read(&mut [0; 99]).await.unwrap(), 10);
        let (mut from, to) = near.into_split();
        let other_task = spawn(async move { drop(to) });
        assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 0, "a writing half that goes closes its direction");
        other_task.await.unwrap();
        far.write_all(b"and back").await.unwrap();
        let mut back = [0; 8];
        from.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"and back");
        drop(from);
        settle().await;
        assert!(far.peer_addr().is_ok() || far.write(b"x").await.is_err());
    });
}

#[test]
fn options_are_set_and_a_linger_of_nothing_resets() {
    run(async {
        let (near, far) = pair().await;
        near.set_nodelay(true).unwrap();
        assert!(near.nodelay().unwrap());
        near.set_nodelay(false).unwrap();
        assert!(!near.nodelay().unwrap());
        near.set_linger(Some(Duration::ZERO)).unwrap();
        drop(near);
        assert_eq!(far.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(matches!(far.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe));
        let (near, far) = pair().await;
        let near = TcpStream::from_std(near.into_std()).expect("out of the loop, and in again");
        near.shutdown(Shutdown::Both).unwrap();
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn several_buffers_go_in_one_call() {
    run(async {
        let (mut near, mut far) = pair().await;
        let slices =
            [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two "), IoSlice::new(b"three")];
        let sent = std::future::poll_fn(|context| Pin::new(&mut near).poll_write_vectored(context, &slices));
        assert_eq!(sent.await.unwrap(), 13);
        let (mut first, mut second, mut third) = ([0; 3], [0; 5], [0; 100]);
        let mut buffers =
            [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second), IoSliceMut::new(&mut third)];
        let read = |context: &mut Context<'_>| Pin::new(&mut far).poll_read_vectored(context, &mut buffers);
        assert_eq!(std::future::poll_fn(read).await.unwrap(), 13);
        assert_eq!([&first[..], &second[..], &third[..5]].concat(), b"one two three");
        // A short read has cleared readiness; what comes next is noticed.
        assert_eq!(near.write_vectored(&[IoSlice::new(b"more")]).await.unwrap(), 4);
        assert_eq!(AsyncReadExt::read(&mut far, &mut third).await.unwrap(), 4);
    });
}

#[test]
fn the_futures_traits_read_write_copy_and_close() {
    run(async {
        let (mut near, far) = pair().await;
        let echo = spawn(async move { futures::io::copy(&far, &mut &far).await.unwrap() });
        near.write_all(b"to be closed").await.unwrap();
        near.flush().await.unwrap();
        let mut back = [0; 5];
        near.read_exact(&mut back).await.unwrap();
        settle().await;
        assert!(!echo.is_finished(), "it is not over yet");
        near.close().await.unwrap();
        near.close().await.unwrap();
        assert_eq!(echo.await.unwrap(), 12);
        let mut text = String::new();
        near.read_to_string(&mut text).await.unwrap();
        assert_eq!((&back, text.as_str()), (b"to be", " closed"));
    });
}

#[test]
fn sixty_four_megabytes_reach_a_slow_reader_whole() {
    run(async {
        let (near, far) = pair().await;
        let block: Vec<u8> =
            (0..1_000_003_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let total = 64 << 20;
        let sent = block.clone();
        let send = spawn(async move {
            let mut left = total;
            while left > 0 {
                let count = sent.len().min(left);
                near.write_all(&sent[..count]).await.unwrap();
                left -= count;
            }
        });
        let (mut received, mut buffer) = (0, vec![0; 150_000]);
        loop {
            let count = far.read(&mut buffer).await.unwrap();
            if count == 0 {
                break;
            }
            let mut got = &buffer[..count];
            while !got.is_empty() {
                let at = received % block.len();
                let same = got.len().min(block.len() - at);
                assert!(got[..same] == block[at..at + same], "different somewhere after byte {received}");
                received += same;
                got = &got[same..];
            }
            // Slow: it gives way several times for each read.
            for _ in 0..3 {
                yield_now().await;
            }
        }
        assert_eq!(received, total);
        send.await.unwrap();
    });
}

#[test]
fn two_hundred_connections_talk_at_once() {
    run(async {
        let (listener, address) = listen().await;
        let server = spawn(async move {
            let mut connections = Vec::new();
            for _ in 0..200 {
                let (stream, _) = listener.accept().await.unwrap();
                connections
                    .push(spawn(async move { futures::io::copy(&stream, &mut &stream).await.unwrap() }));
            }
            let mut bytes = 0;
            for connection in connections {
                bytes += connection.await.unwrap();
            }
            bytes
        });
        let talk = |number: usize| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for round in 0..20 {
                let message = format!("{number} says {round}").repeat(1 + number % 50);
                stream.write_all(message.as_bytes()).await.unwrap();
                let mut back = vec![0; message.len()];
                stream.read_exact(&mut back).await.unwrap();
                assert_eq!(back, message.as_bytes());
            }
            stream.close().await.unwrap();
            assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        };
        let clients: Vec<_> = (0..200).map(|number| spawn(talk(number))).collect();
        for client in clients {
            client.await.unwrap();
        }
        assert!(server.await.unwrap() > 200 * 20 * 8);
    });
}

#[test]
fn internet_protocol_six_works_where_there_is_one() {
    if StdListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    run(async {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert!(peer.is_ipv6());
        server.write_all(b"six").await.unwrap();
        assert_eq!(client.read(&mut [0; 9]).await.unwrap(), 3);
    });
}
