//! Sizes and auto traits.
use stamina::Retry;
use std::future::Future;

struct Operation([u8; 64]);
impl Future for Operation {
    type Output = Result<u8, String>;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::task::Poll::Ready(Ok(self.0[0]))
    }
}

#[test]
fn the_future_of_a_64_byte_operation_is_small() {
    let policy = Retry::on::<String>();
    let future = policy.call_async(|| Operation([1; 64]));
    #[cfg(not(feature = "tokio"))] // tokio's own sleep is held in place, and larger
    assert_eq!(size_of_val(&future), 104);
    assert_eq!(futures::executor::block_on(future), Ok(1));
}

fn spawnable<T: Send + 'static>(_: &T) {}

#[test]
fn spawn() {
    static POLICY: Retry<Box<dyn std::error::Error>> = Retry::on::<Box<dyn std::error::Error>>();
    spawnable(&POLICY.call_async(|| async { Err::<u8, Box<dyn std::error::Error>>("x".into()) }));
    static P2: Retry<String> = Retry::on::<String>();
    spawnable(&async {
        let mut v = vec![1];
        P2.call_async_with(&mut v, async |v: &mut Vec<u8>| {
            v.push(1);
            Ok(v.len())
        })
        .await
    });
    spawnable(&async {
        let mut v = vec![1];
        let mut a = P2.start();
        loop {
            v.push(1);
            match async { Err::<u8, String>("x".into()) }.await {
                Ok(x) => break Ok(a.succeed(x)),
                Err(e) => {
                    if let Err(e) = a.again_async(e).await {
                        break Err(e);
                    }
                }
            }
        }
    });
}
