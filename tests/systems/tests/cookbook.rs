//! The recipes for databases, with the databases that they are for.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};
use stamina_cookbook::redis::greeting;
use stamina_cookbook::sqlx::in_transaction;
use stamina_systems::postgres::Postgres;
use stamina_systems::redis::Redis;
use stamina_systems::run;

const TASKS: i64 = 8;

/// Transactions that read a row and write it back refuse each other under `SERIALIZABLE`: each has to be run until it is
/// alone.
#[test]
fn transactions_that_conflict_are_run_again() {
    let Some(mut server) = Postgres::start("cookbook::transactions_that_conflict_are_run_again")
    else {
        return;
    };
    run(async {
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .connect(&server.url())
            .await
            .expect("the server is up");
        for statement in [
            "CREATE TABLE accounts (id bigint PRIMARY KEY, total bigint NOT NULL)",
            "INSERT INTO accounts VALUES (1, 1000), (2, 0)",
        ] {
            sqlx::query(statement)
                .execute(&pool)
                .await
                .expect("the table is made");
        }
        let tasks: Vec<_> = (1..=TASKS)
            .map(|amount| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let mut runs = 0;
                    let transfer = in_transaction(&pool, |db| {
                        runs += 1;
                        Box::pin(transfer(db, amount))
                    });
                    transfer.await.map(|()| runs)
                })
            })
            .collect();
        let mut runs = 0;
        for task in tasks {
            runs += task
                .await
                .expect("no task panics")
                .expect("each has its turn");
        }
        let totals: Vec<(i64, i64)> = sqlx::query_as("SELECT id, total FROM accounts ORDER BY id")
            .fetch_all(&pool)
            .await
            .expect("the server is up");
        let moved = TASKS * (TASKS + 1) / 2;
        assert_eq!(totals, [(1, 1000 - moved), (2, moved)]);
        assert!(
            runs > TASKS,
            "{runs}: none was refused, which proves nothing"
        );
        println!("{TASKS} transactions took {runs} runs");

        // A server that is killed and comes back.
        server.kill_all();
        let task = tokio::spawn({
            let pool = pool.clone();
            async move { in_transaction(&pool, |db| Box::pin(transfer(db, 1))).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.start_again();
        task.await
            .expect("no panic")
            .expect("the server is back in time");
    });
}

async fn transfer(db: &mut PgConnection, amount: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        .execute(&mut *db)
        .await?;
    let (total,): (i64,) = sqlx::query_as("SELECT total FROM accounts WHERE id = 1")
        .fetch_one(&mut *db)
        .await?;
    // So that all of them have read before the first writes.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let set = "UPDATE accounts SET total = $1 WHERE id = 1";
    sqlx::query(set)
        .bind(total - amount)
        .execute(&mut *db)
        .await?;
    let add = "UPDATE accounts SET total = total + $1 WHERE id = 2";
    sqlx::query(add).bind(amount).execute(&mut *db).await?;
    db.ping().await
}

#[test]
fn a_read_outlasts_a_redis_that_is_killed() {
    let Some(mut server) = Redis::start("cookbook::a_read_outlasts_a_redis_that_is_killed") else {
        return;
    };
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("the server is up");
    let () = redis::cmd("SET")
        .arg("greeting")
        .arg("hello")
        .query(&mut connection)
        .expect("the server is up");
    server.kill();
    let reader = std::thread::spawn(move || greeting(&client));
    std::thread::sleep(Duration::from_millis(200));
    server.start_again();
    assert_eq!(
        reader.join().expect("no panic").expect("it is back"),
        "hello"
    );
}
