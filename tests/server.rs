//! The server helper: its limit of connections, handlers that panic, the orderly end, and what it does
//! when descriptors run out. To replay one: `cargo test --test server <name>`.

#[path = "support/io/child.rs"]
mod child;
#[path = "support/io/few_descriptors.rs"]
mod few_descriptors;
#[path = "support/io/logs.rs"]
mod logs;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::channel::oneshot;
use greenroom::net::{Connection, Server, ServerReport, TcpListener, TcpStream};
use greenroom::{
    Event, JoinHandle, Observer, Runtime, now, sleep, spawn, spawn_named, tasks, timeout, yield_now,
};

use child::no_child_meanwhile;
use log::LevelFilter;
use logs::logged;

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on virtual time: where nothing can happen any more, the limit comes at once.
fn run<F: Future>(test: F) -> F::Output {
    let _no_child = no_child_meanwhile();
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(timeout_of(test))
}

/// `test`, but not for ever.
async fn timeout_of<F: Future>(test: F) -> F::Output {
    timeout(100_000 * SECOND, test).await.expect("the test came to an end")
}

/// A listener at an address of its own: no neighbour may get the port when it is closed.
async fn listen() -> TcpListener {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = Ipv4Addr::new(127, 68, 0, NEXT.fetch_add(1, Ordering::Relaxed));
    TcpListener::bind((host, 0)).await.unwrap()
}

/// A server on a free port: its task, its address, and what tells it to end.
struct Running {
    task: JoinHandle<io::Result<ServerReport>>,
    address: SocketAddr,
    end: oneshot::Sender<()>,
}

impl Running {
    /// Starts a server that `set_up` has set up.
    async fn start<Fut: Future<Output = ()> + 'static>(
        set_up: impl FnOnce(Server) -> Server,
        handler: impl Fn(Connection) -> Fut + 'static,
    ) -> Running {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let server = set_up(Server::new(listener));
        let until = async { ended.await.unwrap_or(()) };
        let task = spawn_named("server", server.run(until, handler));
        Running { task, address, end }
    }

    /// Tells it to end, and waits until it has.
    async fn stop(self) -> ServerReport {
        self.end.send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }
}

/// Sends everything back until the client ends.
async fn echo(connection: Connection) {
    let mut buffer = [0; 100];
    while let Ok(count @ 1..) = connection.stream.read(&mut buffer).await {
        if connection.stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Sends one byte and waits for it to come back.
async fn ask(client: &TcpStream) -> bool {
    client.write_all(b"?").await.is_ok() && matches!(client.read(&mut [0; 9]).await, Ok(1))
}

/// Lets the loop look at the world, and act on what it saw, several times.
async fn settle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

#[test]
fn no_more_than_the_limit_are_served_at_a_time_and_the_next_follows() {
    for limit in [0, 1, 3] {
        run(async {
            let served = Rc::new(Cell::new(0_usize));
            let count = served.clone();
            let server = Running::start(
                |server| server.max_connections(limit),
                move |connection| {
                    count.set(count.get() + 1);
                    let count = count.clone();
                    async move {
                        echo(connection).await;
                        count.set(count.get() - 1);
                    }
                },
            )
            .await;
            let places = limit.max(1);
            let mut clients = Vec::new();
            for _ in 0..places + 4 {
                clients.push(TcpStream::connect(server.address).await.unwrap());
            }
            for turn in 0..4 {
                for client in &clients[turn..turn + places] {
                    assert!(ask(client).await, "those who came first are served");
                }
                settle().await;
                assert_eq!(served.get(), places, "and nobody else is");
                clients[turn].shutdown(Shutdown::Both).unwrap();
            }
            drop(clients);
            settle().await;
            let report = server.stop().await;
            assert_eq!((report.accepted, report.cancelled), (places as u64 + 4, 0));
        });
    }
}

#[test]
fn a_handler_that_panics_ends_its_own_connection_only_and_is_logged() {
    let ((), lines) = logged(LevelFilter::Warn, || {
        run(async {
            let bad = |connection: Connection| async move {
                let mut byte = [0];
                let _ = connection.stream.read(&mut byte).await;
                assert_ne!(&byte, b"!", "a client shouted");
                echo(connection).await;
            };
            let server = Running::start(|server| server.max_connections(2), bad).await;
            let good = TcpStream::connect(server.address).await.unwrap();
            good.write_all(b" ").await.unwrap();
            assert!(ask(&good).await);
            for _ in 0..5 {
                let loud = TcpStream::connect(server.address).await.unwrap();
                loud.write_all(b"!").await.unwrap();
                assert!(matches!(loud.read(&mut [0]).await, Ok(0) | Err(_)), "it is closed");
            }
            assert!(ask(&good).await, "the neighbour did not notice");
            drop(good);
            settle().await;
            assert_eq!(server.stop().await.accepted, 6);
        })
    });
    let shouted = lines.iter().filter(|line| line.contains("a client shouted"));
    assert_eq!(shouted.count(), 5, "{lines:#?}");
}

#[test]
fn a_handler_that_panics_before_it_gives_a_future_ends_its_own_connection_only() {
    run(async {
        let first = Cell::new(true);
        let handler = move |connection| {
            assert!(!first.replace(false), "a handler that fails at once");
            echo(connection)
        };
        let server = Running::start(|server| server, handler).await;
        let unlucky = TcpStream::connect(server.address).await.unwrap();
        assert!(matches!(unlucky.read(&mut [0]).await, Ok(0) | Err(_)), "it is closed");
        let client = TcpStream::connect(server.address).await.expect("the server is still there");
        assert!(ask(&client).await);
        drop(client);
        settle().await;
        assert_eq!(server.stop().await.accepted, 2);
    });
}

#[test]
fn the_end_closes_the_door_orders_everyone_out_and_waits_for_them() {
    run(async {
        let story = Rc::new(RefCell::new(Vec::new()));
        let tell = story.clone();
        let polite = move |mut connection: Connection| {
            let tell = tell.clone();
            async move {
                assert!(!connection.drain.is_ordered());
                connection.drain.wait_for_order().await;
                assert!(connection.drain.is_ordered());
                connection.drain.wait_for_order().await;
                tell.borrow_mut().push("order heard");
                sleep(2 * SECOND).await;
                connection.stream.write_all(b"bye").await.unwrap();
                tell.borrow_mut().push("said bye");
            }
        };
        let server = Running::start(|server| server.drain_within(3 * SECOND), polite).await;
        let client = TcpStream::connect(server.address).await.unwrap();
        settle().await;
        let (address, start) = (server.address, now());
        let ending = spawn(server.stop());
        settle().await;
        assert_eq!(*story.borrow(), ["order heard"]);
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "the door is closed first");
        let report = ending.await.unwrap();
        assert_eq!(now() - start, 2 * SECOND, "it did not wait for the deadline");
        assert_eq!(*story.borrow(), ["order heard", "said bye"]);
        let mut buffer = [0; 9];
        assert_eq!(client.read(&mut buffer).await.unwrap(), 3);
        assert_eq!((report.accepted, report.cancelled), (1, 0));
        assert_eq!(report.to_string(), "1 connections served, 0 cut off at the end");
    });
}

#[test]
fn who_does_not_end_in_time_is_cut_off_and_counted() {
    struct CountDrop(Rc<Cell<u32>>);
    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    run(async {
        let dropped = Rc::new(Cell::new(0));
        let count = dropped.clone();
        let stubborn = move |mut connection: Connection| {
            let count = CountDrop(count.clone());
            async move {
                let _count = count;
                let mut byte = [0];
                let _ = connection.stream.read(&mut byte).await;
                if &byte == b"s" {
                    pending::<()>().await;
                }
                connection.drain.wait_for_order().await;
            }
        };
        let server = Running::start(|server| server.drain_within(4 * SECOND), stubborn).await;
        let mut clients = Vec::new();
        for kind in [b"s", b"p", b"s", b"p", b"s"] {
            let client = TcpStream::connect(server.address).await.unwrap();
            client.write_all(kind).await.unwrap();
            clients.push(client);
        }
        settle().await;
        let start = now();
        let report = server.stop().await;
        assert_eq!(now() - start, 4 * SECOND, "the deadline is kept");
        assert_eq!((report.accepted, report.cancelled), (5, 3));
        assert_eq!(dropped.get(), 5, "nothing of a connection is left when the report is there");
        for client in &clients {
            assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
        }
        assert_eq!(tasks().len(), 1, "{:?}", tasks());
    });
}

#[test]
fn an_end_that_has_come_already_serves_nobody() {
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let _waiting = TcpStream::connect(address).await.unwrap();
        let report = Server::new(listener).run(async {}, echo).await.unwrap();
        assert_eq!((report.accepted, report.cancelled), (0, 0));
        assert!(TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn an_end_is_heard_while_the_house_is_full() {
    run(async {
        let server = Running::start(|server| server.max_connections(1), |_| pending()).await;
        let _inside = TcpStream::connect(server.address).await.unwrap();
        let _outside = TcpStream::connect(server.address).await.unwrap();
        settle().await;
        let report = server.stop().await;
        assert_eq!((report.accepted, report.cancelled), (1, 1));
    });
}

#[test]
fn dropping_the_server_closes_the_door_and_lets_the_connections_go_on() {
    run(async {
        let mut server = Running::start(|server| server, echo).await;
        let client = TcpStream::connect(server.address).await.unwrap();
        assert!(ask(&client).await);
        assert!(server.task.cancel().await.is_none());
        let refused = TcpStream::connect(server.address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(ask(&client).await);
        drop(client);
        settle().await;
        assert_eq!(tasks().len(), 1, "{:?}", tasks());
    });
}

#[test]
fn a_listener_that_is_broken_is_an_error_after_the_connections_have_ended() {
    run(async {
        let listener = listen().await;
        // A listening socket that was shut down gives EINVAL from now on (accept(2)).
        socket2::SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
        let error = Server::new(listener).run(pending(), echo).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
    });
}

/// Counts polls and waits.
#[derive(Clone, Default)]
struct Counts(Rc<(Cell<usize>, Cell<usize>)>);

impl Observer for Counts {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        let counter = match event {
            Event::PollStarted { .. } => &self.0.0,
            Event::WaitStarted { .. } => &self.0.1,
            _ => return,
        };
        counter.set(counter.get() + 1);
    }
}

#[test]
fn the_end_of_a_connection_does_not_wake_those_that_wait_for_the_order() {
    const CLIENTS: usize = 200;
    let _no_child = no_child_meanwhile();
    let counts = Counts::default();
    let runtime = Runtime::builder().virtual_clock(true).observer(counts.clone()).build().unwrap();
    runtime.block_on(timeout_of(async {
        let handler = |mut connection: Connection| async move {
            let mut byte = [0];
            poll_fn(|context| {
                if connection.drain.poll_order(context).is_ready() {
                    return Poll::Ready(());
                }
                let read = futures::AsyncRead::poll_read(
                    std::pin::Pin::new(&mut &connection.stream),
                    context,
                    &mut byte,
                );
                read.map(|_| ())
            })
            .await;
        };
        let server = Running::start(|server| server, handler).await;
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(TcpStream::connect(server.address).await.unwrap());
        }
        while tasks().len() < CLIENTS + 2 {
            sleep(SECOND).await;
        }
        let before = counts.0.0.get();
        while let Some(client) = clients.pop() {
            drop(client);
            while tasks().len() > clients.len() + 2 {
                sleep(SECOND).await;
            }
        }
        let polls = counts.0.0.get() - before;
        assert!(polls < 10 * CLIENTS, "{polls} polls for the end of {CLIENTS} connections");
        server.stop().await;
    }));
}
