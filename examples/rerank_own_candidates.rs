//! Your search engine has its own recall: a database, BM25, another vector index. It hands Maxfold
//! the token matrices of its candidates, and gets them back ranked by MaxSim.
//!
//! ```sh
//! cargo run --release --example rerank_own_candidates
//! ```

use maxfold::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use maxfold::rerank::{Backend, Reranker};

fn main() -> maxfold::Result<()> {
    // Once, at start-up. A hardware GPU is used where there is one, else the CPU: ask which.
    let reranker = Reranker::new(Backend::Auto)?;
    println!("reranking on {}", reranker.execution());

    // Token vectors come from your model, one row a token. These have three dimensions, to be read:
    // how much a token is about bicycles, about bread, about money. `normalized` scales each row to
    // unit length, as late-interaction models want it; values are kept in f16.
    let query = TokenMatrix::normalized(
        &[
            0.9_f32, 0.1, 0.0, // "bicycle"
            0.1, 0.0, 0.9, // "price"
        ],
        3,
    )?;

    // Your recall found three documents, and your storage has their token matrices: here packed in
    // one `MultiVectors`. Matrices that lie anywhere else in memory, in f16, are borrowed by
    // `TokenMatrixRef::new` without a copy.
    let mut stored = MultiVectors::empty(3)?;
    for tokens in [
        vec![0.8_f32, 0.2, 0.1, 0.9, 0.0, 0.1], // 11: all about bicycles
        vec![0.0, 0.9, 0.1, 0.1, 0.1, 0.9, 0.0, 1.0, 0.0], // 12: what a loaf costs
        vec![0.9, 0.0, 0.2, 0.2, 0.0, 0.9],     // 13: what a bicycle costs
    ] {
        stored.push(TokenMatrix::normalized(&tokens, 3)?.view())?;
    }
    let ids = [11, 12, 13];
    let candidates: Vec<(u64, TokenMatrixRef<'_>)> = ids.into_iter().zip(stored.iter()).collect();

    // One call a request. Documents may have any number of tokens; none is padded.
    let ranking = reranker.rerank(query.view(), &candidates, 2)?;
    for hit in &ranking.hits {
        println!("document {} scores {:.3}", hit.id, hit.score);
    }

    // Document 13 matches both words; 11 and 12 match one each.
    assert_eq!(ranking.hits[0].id, 13);
    Ok(())
}
