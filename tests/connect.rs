//! Connecting to several addresses: who is tried when, who wins, what is said at the end; and
//! look-ups. On virtual time, so that every delay is exact. To replay one:
//! `cargo test --test connect <name>`.

#[path = "support/io/child.rs"]
mod child;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::time::Duration;

use child::{in_child, no_child_meanwhile, open_descriptors};
use futures::poll;
use greenroom::net::{ListenOptions, TcpListener, TcpStream, lookup_host};
use greenroom::{Runtime, WaitReason, now, sleep, spawn_named, tasks, timeout, yield_now};

/// The time that each address has for itself (RFC 8305 section 5).
const DELAY: Duration = Duration::from_millis(250);

/// Runs a test on virtual time: where nothing can happen any more, the limit comes at once.
fn run<F: Future>(test: F) -> F::Output {
    let _no_child = no_child_meanwhile();
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(1000), test).await.expect("nothing got stuck") })
}

/// A listener that nobody can connect to: it neither answers nor refuses, for its backlog is full.
struct FullHouse {
    listener: TcpListener,
    address: SocketAddr,
    _inside: Vec<TcpStream>,
}

async fn full_house() -> FullHouse {
    let mut options = ListenOptions::default();
    options.backlog = 0;
    let listener = TcpListener::bind_with("127.0.0.1:0", options).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut inside = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(50), TcpStream::connect(address)).await {
        inside.push(stream.unwrap());
    }
    FullHouse { listener, address, _inside: inside }
}

/// A listener with room.
async fn open_house() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Addresses where nobody listens.
const REFUSING: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 70, 0, 1)), 1),
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 70, 0, 2)), 1),
];

/// Connects; says to whom, and how long it took.
async fn connect(addresses: &[SocketAddr]) -> (io::Result<SocketAddr>, Duration) {
    let start = now();
    let stream = TcpStream::connect(addresses).await;
    (stream.map(|stream| stream.peer_addr().unwrap()), now() - start)
}

#[test]
fn an_address_that_is_silent_costs_a_quarter_of_a_second() {
    run(async {
        let (silent, (_open, open)) = ([full_house().await, full_house().await], open_house().await);
        let [first, second] = [silent[0].address, silent[1].address];
        for (addresses, expected) in [
            (&[open, first][..], Duration::ZERO),
            (&[first, open], DELAY),
            (&[first, second, open], 2 * DELAY),
        ] {
            let (winner, took) = connect(addresses).await;
            assert_eq!((winner.unwrap(), took), (open, expected), "{addresses:?}");
        }
    });
}

#[test]
fn after_a_refusal_the_next_is_tried_at_once() {
    run(async {
        let (house, (_open, open)) = (full_house().await, open_house().await);
        let silent = house.address;
        for (addresses, expected) in [
            (&[REFUSING[0], open][..], Duration::ZERO),
            (&[REFUSING[0], REFUSING[1], open], Duration::ZERO),
            // The refusal of the second brings the third at once, though the first is still silent.
            (&[silent, REFUSING[0], open], DELAY),
            // The delay counts from the last attempt.
            (&[REFUSING[0], silent, REFUSING[1], open], DELAY),
        ] {
            let (winner, took) = connect(addresses).await;
            assert_eq!((winner.unwrap(), took), (open, expected), "{addresses:?}");
        }
    });
}

#[test]
fn families_take_turns() {
    let Ok(six) = StdListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    let six = six.local_addr().unwrap().port();
    run(async {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let open = listener.local_addr().unwrap();
        assert_ne!(open.port(), six);
        let silent = [full_house().await, full_house().await, full_house().await];
        let addresses = [silent[0].address, silent[1].address, silent[2].address, open];
        let (winner, took) = connect(&addresses).await;
        assert_eq!((winner.unwrap(), took), (open, DELAY), "the fourth is of the other family");
    });
}

#[test]
fn an_earlier_attempt_may_still_win() {
    let _no_child = no_child_meanwhile();
    Runtime::new().unwrap().block_on(async {
        let (first, second) = (full_house().await, full_house().await);
        let addresses = [first.address, second.address];
        let mut connecting = pin!(TcpStream::connect(&addresses[..]));
        assert!(poll!(&mut connecting).is_pending());
        assert!(timeout(DELAY + DELAY / 2, &mut connecting).await.is_err(), "both are under way");
        // The kernel knocks again within a second or so.
        let _let_in = (first.listener.accept().await.unwrap(), timeout(DELAY, first.listener.accept()).await);
        let stream = connecting.await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), first.address);
    });
}

#[test]
fn when_none_will_do_each_is_named_with_its_reason() {
    run(async {
        let error = connect(&REFUSING).await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let [first, second] = REFUSING;
        assert_eq!(error.to_string(), format!("cannot connect to {first}: {refused}; {second}: {refused}"));
        let error = connect(&[]).await.0.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::InvalidInput, "no address to connect to")
        );
    });
}

#[test]
fn a_limit_holds_for_all_attempts_together() {
    run(async {
        let houses = [full_house().await, full_house().await];
        let [first, second] = houses.each_ref().map(|house| house.address);
        let (limit, start) = (Duration::from_millis(300), now());
        let addresses = [REFUSING[0], first, second, REFUSING[1]];
        let error = TcpStream::connect_timeout(&addresses[..], limit).await.unwrap_err();
        assert_eq!((error.kind(), now() - start), (io::ErrorKind::TimedOut, limit));
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let expected = format!(
            "cannot connect to {}: {refused}; {first}: no answer within 300ms; {second}: no answer within \
             300ms; {}: not tried within 300ms",
            REFUSING[0], REFUSING[1]
        );
        assert_eq!(error.to_string(), expected);
        let (_open, open) = open_house().await;
        TcpStream::connect_timeout(open, limit).await.expect("it answers");
        TcpStream::connect_timeout(open, Duration::MAX).await.expect("no limit is a limit too");
        let error = TcpStream::connect_timeout(REFUSING[0], limit).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "before the time is over");
    });
}

#[test]
fn a_look_up_that_takes_too_long_is_an_error_that_names_the_host() {
    run(async {
        let error = TcpStream::connect_timeout("localhost:1", Duration::ZERO).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "cannot look up \"localhost\": not done within 0ns");
    });
}

#[test]
fn losers_are_dropped_and_so_are_all_when_it_is_given_up() {
    in_child("losers_are_dropped_and_so_are_all_when_it_is_given_up", || {
        run(async {
            let (silent, (_open, open)) = ([full_house().await, full_house().await], open_house().await);
            let addresses = [silent[0].address, silent[1].address, open];
            let before = open_descriptors();
            let winner = TcpStream::connect(&addresses[..]).await.unwrap();
            assert_eq!(open_descriptors(), before + 1, "the winner is left");
            drop(winner);
            let mut caller = spawn_named("caller", async move {
                drop(TcpStream::connect(&addresses[..2]).await);
            });
            sleep(DELAY + DELAY / 2).await;
            assert_eq!(open_descriptors(), before + 2, "two attempts are under way");
            let info = tasks().into_iter().find(|task| task.name.as_deref() == Some("caller")).unwrap();
            assert!(matches!(info.reason, WaitReason::Connect(_)), "{info}");
            caller.cancel().await;
            yield_now().await;
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn names_are_looked_up_to_all_of_their_addresses() {
    run(async {
        let digits = lookup_host("127.0.0.1:80").await.unwrap();
        assert_eq!(digits, ["127.0.0.1:80".parse().unwrap()]);
        let local = lookup_host(("localhost", 81)).await.unwrap();
        assert!(!local.is_empty());
        assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 81), "{local:?}");
        let error = lookup_host("nobody.invalid:1").await.unwrap_err();
        assert!(error.to_string().starts_with("cannot look up \"nobody.invalid\": "), "{error}");
        let error = lookup_host("nonsense").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        // Given up, it goes on by itself and harms nobody.
        drop(poll!(pin!(lookup_host("localhost:1"))));
    });
}
