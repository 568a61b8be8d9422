//! A client with `&mut self` behind a trait.

use async_trait::async_trait;
use stamina::{Retry, Timer};

static GET: Retry<&str> = Retry::on::<&str>().timer(Timer::tokio());

#[async_trait]
pub trait Store: Send {
    async fn get(&mut self, key: &str) -> Result<String, &'static str>;
}

pub struct Client {
    sent: u32,
}

#[async_trait]
impl Store for Client {
    async fn get(&mut self, key: &str) -> Result<String, &'static str> {
        let mut state = (self, key);
        let attempt =
            GET.call_async_with_boxed(&mut state, |(client, key)| Box::pin(client.get_once(key)));
        attempt.await
    }
}

impl Client {
    async fn get_once(&mut self, key: &str) -> Result<String, &'static str> {
        self.sent += 1;
        if self.sent < 3 {
            return Err("reset");
        }
        Ok(format!("the value of {key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Store};

    #[tokio::test(start_paused = true)]
    async fn a_spawned_task_calls_it_through_the_trait() {
        let task = tokio::spawn(async move {
            let mut store: Box<dyn Store> = Box::new(Client { sent: 0 });
            let key = String::from("name");
            store.get(&key).await
        });
        assert_eq!(task.await.unwrap(), Ok("the value of name".into()));
    }
}
