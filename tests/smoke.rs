//! Smoke.
use greenroom::net::*;
use greenroom::*;
use std::time::Duration;
#[test]
fn all() {
    let rt = Runtime::builder().virtual_clock(true).build().unwrap();
    let t = std::time::Instant::now();
    rt.block_on(async {
        let a = spawn(async {
            sleep(Duration::from_secs(3600)).await;
            5
        });
        let mut b = spawn(std::future::pending::<()>());
        assert_eq!(a.await.unwrap(), 5);
        assert!(b.cancel().await.is_none());
        let p = spawn(async { panic!("boo") });
        let e: Result<(), _> = p.await;
        assert!(e.unwrap_err().is_panic());
        assert!(timeout(Duration::from_secs(3), std::future::pending::<()>()).await.is_err());
        for _ in 0..10 {
            yield_now().await
        }
        let l = TcpListener::bind("localhost:0").await.unwrap();
        let addr = l.local_addr().unwrap();
        let s = spawn(async move {
            let (s, _) = l.accept().await.unwrap();
            let mut b = [0; 10];
            let n = s.read(&mut b).await.unwrap();
            s.write_all(&b[..n]).await.unwrap();
        });
        let c = TcpStream::connect(addr).await.unwrap();
        c.write_all(b"hi").await.unwrap();
        let mut b = [0; 10];
        assert_eq!(c.read(&mut b).await.unwrap(), 2);
        s.await.unwrap();
        assert_eq!(c.read(&mut b).await.unwrap(), 0);
    });
    assert!(t.elapsed() < Duration::from_secs(3));
    let e = rt.try_block_on(async {
        let h = spawn_named("w", std::future::pending::<()>());
        h.await.unwrap()
    });
    println!("{}", e.unwrap_err());
    let h = rt.handle();
    let th = std::thread::spawn(move || {
        h.spawn(async {
            sleep(Duration::from_secs(1)).await;
            7
        })
        .join()
    });
    let mut n = 0;
    rt.block_on(async {
        while !th.is_finished() {
            sleep(Duration::from_millis(1)).await;
            n += 1;
            std::thread::yield_now()
        }
    });
    assert_eq!(th.join().unwrap().unwrap(), 7);
    println!("{}", rt.shutdown(Duration::from_secs(1)));
}
