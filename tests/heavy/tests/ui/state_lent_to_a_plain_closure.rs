use stamina::Retry;

async fn read(buffer: &mut Vec<u8>) -> Result<usize, String> {
    buffer.push(0);
    Ok(buffer.len())
}

async fn wrong() -> Result<usize, String> {
    let mut buffer = Vec::new();
    Retry::on::<String>().call_async(|| read(&mut buffer)).await
}

async fn right() -> Result<usize, String> {
    let mut buffer = Vec::new();
    Retry::on::<String>().call_async_with(&mut buffer, async |buffer| read(buffer).await).await
}

fn main() {
    let _ = (wrong(), right());
}
