//! Bugs of sockets and streams that were found by reading and by attack, each as the test that would have found it.
//! To replay one: `cargo test --test found_sockets <name>`.

#[path = "support/core/mod.rs"]
mod support;

use std::cell::Cell;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram as StdDatagram, UnixStream as StdStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite};
use greenroom::io::{LineReader, copy_bidirectional};
use greenroom::net::{
    DatagramProtocol, UnixAddress, UnixDatagram, UnixListenOptions, UnixListener, UnixStream,
};
use greenroom::{sleep, spawn, timeout, yield_now};
use support::{virtual_runtime, within_patience};

const MS: Duration = Duration::from_millis(1);

/// Sends one byte, and a descriptor with it (`SCM_RIGHTS`, unix(7)).
fn send_with_descriptor(stream: &StdStream) {
    let mut byte = *b"a";
    let mut bytes = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 3];
    // SAFETY: all zero is a message without address, bytes and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut bytes, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
    // SAFETY: `control` has the size and alignment of one header with one descriptor, and all that the
    // message points to lives until it is sent.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<libc::c_int>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<libc::c_int>().write(stream.as_raw_fd());
        assert_eq!(libc::sendmsg(stream.as_raw_fd(), &raw const message, 0), 1);
    }
}

#[test]
fn a_read_that_ends_where_a_descriptor_came_leaves_the_bytes_after_it_readable() {
    virtual_runtime().block_on(async {
        let (near, far) = StdStream::pair().unwrap();
        let near = UnixStream::from_std(near).unwrap();
        send_with_descriptor(&far);
        Write::write_all(&mut &far, b"b").unwrap();
        near.readable().await.unwrap();
        sleep(MS).await;
        let mut buffer = [0; 9];
        assert_eq!(near.read(&mut buffer).await.unwrap(), 1, "a read stops after a descriptor");
        let second = timeout(1000 * MS, near.read(&mut buffer)).await;
        assert_eq!(second.expect("the second byte is there").unwrap(), 1);
    });
}

#[test]
fn who_sends_to_a_full_receiver_waits_without_spinning_and_is_heard_when_there_is_room() {
    within_patience(|| {
        virtual_runtime().block_on(async {
            let name = UnixAddress::abstract_name(format!("greenroom-room-{}", std::process::id()));
            let receiver = UnixDatagram::bind(&name).unwrap();
            let (others, late) = (UnixDatagram::unbound().unwrap(), UnixDatagram::unbound().unwrap());
            while others.try_send_to(b"x", &name).is_ok() {}
            let endpoint = UnixDatagram::unbound().unwrap();
            let (transport, _task) = endpoint.run_protocol(Silent).unwrap();
            transport.send_to(b"kept", &name).unwrap();
            // Time jumps only while the loop has nothing to do.
            assert!(timeout(1000 * MS, late.send_to(b"late", &name)).await.is_err());
            let sending = spawn(async move { late.send_to(b"late", &name).await });
            sleep(5 * MS).await;
            assert!(!sending.is_finished());
            while receiver.try_recv(&mut [0; 9]).is_ok() {}
            // None of the datagrams that left the queue was of these senders, so no socket of theirs tells.
            let sent = timeout(1000 * MS, sending).await.expect("there is room").unwrap();
            assert_eq!(sent.unwrap(), 4);
            for _ in 0..2 {
                let received = timeout(1000 * MS, receiver.recv(&mut [0; 9])).await;
                assert_eq!(received.expect("both were sent").unwrap(), 4);
            }
        });
    });
}

/// A protocol that does nothing.
struct Silent;

impl DatagramProtocol<StdDatagram> for Silent {
    fn datagram_received(&mut self, _: &[u8], _: UnixAddress) {}
}

#[test]
fn a_bind_that_fails_for_want_of_a_loop_leaves_no_file() {
    let path = std::env::temp_dir().join(format!("greenroom-no-loop-{}", std::process::id()));
    let errors = [UnixListener::bind(&path).unwrap_err(), UnixDatagram::bind(&path).unwrap_err()];
    assert!(!path.exists());
    assert!(errors.iter().all(|error| error.to_string().contains("no loop on this thread")), "{errors:?}");
}

#[test]
fn an_endpoint_that_is_over_waits_for_nothing_though_its_transport_is_kept() {
    within_patience(|| {
        let runtime = virtual_runtime();
        let stalled = runtime.try_block_on(async {
            let (transport, task) = UnixDatagram::unbound().unwrap().run_protocol(Silent).unwrap();
            sleep(MS).await;
            transport.close();
            task.await.unwrap();
            std::future::pending::<()>().await;
            drop(transport);
        });
        assert!(stalled.is_err(), "nothing can happen any more");
    });
}

#[test]
fn lines_that_are_always_there_let_others_run() {
    within_patience(|| {
        virtual_runtime().block_on(async {
            let mut reading = spawn(async {
                let mut lines = LineReader::new(futures::io::repeat(b'\n'), 9);
                while lines.next_line().await.is_ok() {}
            });
            yield_now().await;
            reading.cancel().await;
        });
    });
}

#[test]
fn an_address_in_use_is_explained_by_what_was_tried() {
    virtual_runtime().block_on(async {
        let path = std::env::temp_dir().join(format!("greenroom-in-use-{}", std::process::id()));
        let mut options = UnixListenOptions::default();
        (options.replace_stale, options.unlink_on_drop) = (true, true);
        let _listener = UnixListener::bind_with(&path, options).unwrap();
        let error = UnixListener::bind_with(&path, options).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(
            error.to_string().ends_with(": somebody answers there, or it is not such a socket"),
            "{error}"
        );
        let name = UnixAddress::abstract_name(format!("greenroom-in-use-{}", std::process::id()));
        let _listener = UnixListener::bind(&name).unwrap();
        let error = UnixListener::bind(&name).unwrap_err();
        assert!(!error.to_string().contains("remove the file"), "{error}");
    });
}

/// Says the same for ever, and hears what it is told.
struct Chatter(Rc<Cell<usize>>);

impl AsyncRead for Chatter {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(into.len()))
    }
}

impl AsyncWrite for Chatter {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.set(self.0.get() + bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn neither_direction_of_a_proxy_keeps_the_other_waiting() {
    virtual_runtime().block_on(async {
        let heard: [Rc<Cell<usize>>; 2] = Default::default();
        let [mut one, mut other] = heard.clone().map(Chatter);
        let mut proxy = spawn(async move { copy_bidirectional(&mut one, &mut other).await });
        for _ in 0..4 {
            yield_now().await;
        }
        assert!(heard.iter().all(|heard| heard.get() > 0), "{heard:?}");
        proxy.cancel().await;
    });
}
