//! A search service over a collection: ingest, search with matches, backup, statistics.
//!
//! ```sh
//! cargo run --release --example service -- DIRECTORY 127.0.0.1:8080
//! curl -X PUT --data-binary @points.jsonl http://127.0.0.1:8080/points
//! curl -X POST --data @request.json http://127.0.0.1:8080/query
//! curl -X POST --data '"/backups/today"' http://127.0.0.1:8080/backup
//! curl http://127.0.0.1:8080/statistics
//! ```

mod app;

use std::sync::Arc;

use maxfold::recall::Distance;
use maxfold::{Collection, CollectionConfig, ErrorKind, Searcher, VectorConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(
            "expected a directory and an address, as in `service DIR 127.0.0.1:8080`".into()
        );
    };
    let collection = match Collection::open(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let config = CollectionConfig::new()
                .vector("dense", VectorConfig::dense(384, Distance::Cosine))
                .vector("tokens", VectorConfig::multi(128, Distance::Cosine));
            Collection::create(&directory, config)?
        }
        opened => opened?,
    };
    let searcher = Arc::new(Searcher::new(collection)?);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("{} on http://{address}", searcher.reranker().execution());
    axum::serve(listener, app::router(searcher)).await?;
    Ok(())
}
