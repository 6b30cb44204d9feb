//! What the quickstart shows: a few questions in words, all of them in figures.

use std::time::Duration;

use maxfold::eval::{Gain, Metric, Qrels, Run, evaluate};
use maxfold::search::{Report, SearchEngine};
use serde_json::{Value, json};

use super::LIMIT;
use super::handbook::{Question, Section};

/// Sections shown of each ranking.
const PLACES: usize = 3;

const METRICS: [Metric; 2] = [Metric::Ndcg { k: 10, gain: Gain::Linear }, Metric::Mrr { k: 10 }];

/// A question and both rankings of its candidates: (section, score), best first.
pub struct Answer {
    pub question: Question,
    pub recalled: Vec<(u64, f32)>,
    pub reranked: Vec<(u64, f32)>,
    pub report: Report,
}

pub struct Outcome {
    pub sections: usize,
    pub answers: Vec<Answer>,
    pub qrels: Qrels,
    /// Time to read the vectors, find a GPU and build the index.
    pub prepared: Duration,
}

/// An answer, and what the rerank changes in its nDCG@10.
struct Gained<'a> {
    answer: &'a Answer,
    ndcg: f64,
}

/// A metric's mean over all questions.
struct Measured {
    metric: Metric,
    recall: f64,
    rerank: f64,
}

impl Outcome {
    pub fn print(&self, engine: &SearchEngine<Section>) -> maxfold::Result<()> {
        let (sections, questions) = (self.sections, self.answers.len());
        println!(
            "A bicycle handbook: {sections} sections, {questions} questions with judged answers."
        );
        println!(
            "Its vectors are all-MiniLM-L6-v2's: one a section for recall, one a token for MaxSim."
        );
        println!("●● answers the question, ● helps, as judged before any ranking was looked at.");
        let gains = self.gains()?;
        if let [best, second, .., worst] = gains.as_slice() {
            println!("\nWhere the rerank helps most:");
            self.print_answer(best.answer, engine);
            self.print_answer(second.answer, engine);
            println!("\nWhere it hurts most:");
            self.print_answer(worst.answer, engine);
        }
        self.print_figures(&gains, engine)
    }

    fn print_answer(&self, answer: &Answer, engine: &SearchEngine<Section>) {
        println!("\n  “{}”", answer.question.text);
        self.print_ranking("recall alone", &answer.question.id, &answer.recalled, engine);
        self.print_ranking("after rerank", &answer.question.id, &answer.reranked, engine);
    }

    fn print_ranking(
        &self,
        name: &str,
        question: &str,
        ranking: &[(u64, f32)],
        engine: &SearchEngine<Section>,
    ) {
        println!("    {name}");
        for (place, &(id, score)) in (1..).zip(ranking.iter().take(PLACES)) {
            let Some(section) = engine.payload(id) else { continue };
            let mark = match self.qrels.grade(question, &id.to_string()) {
                Some(2..) => "●●",
                Some(1) => "● ",
                _ => "  ",
            };
            let title = format!("{} › {}", section.page_title, section.section_title);
            println!("      {place}. {mark} {score:6.3}  {title}");
            println!("                   {}", excerpt(&section.text));
        }
    }

    fn print_figures(
        &self,
        gains: &[Gained<'_>],
        engine: &SearchEngine<Section>,
    ) -> maxfold::Result<()> {
        println!("\nAll {} questions:\n", self.answers.len());
        println!("  {:<18}{:>14}{:>14}", "", "recall alone", "after rerank");
        for Measured { metric, recall, rerank } in self.measured()? {
            println!("  {:<18}{recall:>14.3}{rerank:>14.3}", metric.to_string());
        }
        let better = gains.iter().filter(|gained| gained.ndcg > 0.0).count();
        let worse = gains.iter().filter(|gained| gained.ndcg < 0.0).count();
        println!(
            "\n  nDCG@10 is better after the rerank for {better} questions, worse for {worse}."
        );
        let recall = median(self.answers.iter().map(|answer| answer.report.recall_time));
        let rerank = median(self.answers.iter().map(|answer| answer.report.rerank_time));
        let candidates = self.answers.first().map_or(0, |answer| answer.report.candidates);
        println!("\n  backend   {}", self.execution(engine));
        println!(
            "  to start  {} ms: vectors read, backend made ready, index built",
            self.prepared.as_millis()
        );
        println!("  recall    {} µs a question (median)", recall.as_micros());
        println!(
            "  rerank    {} µs a question (median), {candidates} candidates",
            rerank.as_micros()
        );
        Ok(())
    }

    pub fn to_json(&self, engine: &SearchEngine<Section>) -> maxfold::Result<Value> {
        let mut metrics = serde_json::Map::new();
        for Measured { metric, recall, rerank } in self.measured()? {
            metrics.insert(metric.to_string(), json!({"recall": recall, "rerank": rerank}));
        }
        let execution = self.execution(engine);
        Ok(json!({
            "backend": execution.backend().to_string(),
            "adapter": execution.adapter(),
            "variant": execution.variant(),
            "reason": &*execution.reason,
            "sections": self.sections,
            "metrics": metrics,
            "prepared_micros": self.prepared.as_micros() as u64,
            "questions": self.answers.iter().map(|a| question_json(a, engine)).collect::<Vec<_>>(),
        }))
    }

    /// What ran last: another backend than was chosen, if that one failed meanwhile.
    fn execution(&self, engine: &SearchEngine<Section>) -> maxfold::rerank::Execution {
        let last = self.answers.last().map(|answer| answer.report.rerank.clone());
        last.unwrap_or_else(|| engine.reranker().execution())
    }

    fn measured(&self) -> maxfold::Result<Vec<Measured>> {
        let (recall, rerank) = self.runs()?;
        let mean = |run, metric| Ok(evaluate(&self.qrels, run, metric)?.mean);
        let measure = |metric| {
            Ok(Measured { metric, recall: mean(&recall, metric)?, rerank: mean(&rerank, metric)? })
        };
        METRICS.into_iter().map(measure).collect()
    }

    /// Every answer with what the rerank changes in its nDCG@10, the greatest gain first.
    fn gains(&self) -> maxfold::Result<Vec<Gained<'_>>> {
        let (recall, rerank) = self.runs()?;
        let [ndcg, ..] = METRICS;
        let before = evaluate(&self.qrels, &recall, ndcg)?.per_query;
        let after = evaluate(&self.qrels, &rerank, ndcg)?.per_query;
        let mut gains = Vec::new();
        for answer in &self.answers {
            let id = &answer.question.id;
            if let (Some(after), Some(before)) = (after.get(id), before.get(id)) {
                gains.push(Gained { answer, ndcg: after - before });
            }
        }
        gains.sort_by(|a, b| b.ndcg.total_cmp(&a.ndcg));
        Ok(gains)
    }

    fn runs(&self) -> maxfold::Result<(Run, Run)> {
        let (mut recall, mut rerank) = (Run::new(), Run::new());
        for Answer { question, recalled, reranked, .. } in &self.answers {
            recall.insert_ranking(&question.id, recalled.iter().copied())?;
            rerank.insert_ranking(&question.id, reranked.iter().copied())?;
        }
        Ok((recall, rerank))
    }
}

fn question_json(answer: &Answer, engine: &SearchEngine<Section>) -> Value {
    let hit = |&(id, score): &(u64, f32)| {
        let section = engine.payload(id);
        json!({
            "id": id,
            "score": score,
            "title": section.map(|s| format!("{} › {}", s.page_title, s.section_title)),
            "link": section.map(|s| format!("{}#{}", s.url, s.anchor)),
        })
    };
    let top = |ranking: &[(u64, f32)]| ranking.iter().take(LIMIT).map(hit).collect::<Vec<_>>();
    json!({
        "id": answer.question.id,
        "text": answer.question.text,
        "recalled": top(&answer.recalled),
        "hits": top(&answer.reranked),
        "recall_micros": answer.report.recall_time.as_micros() as u64,
        "rerank_micros": answer.report.rerank_time.as_micros() as u64,
    })
}

/// The beginning of a text, cut at a word.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 84;
    if text.chars().count() <= CHARACTERS {
        return text.into();
    }
    let cut: String = text.chars().take(CHARACTERS).collect();
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{} …", words.trim_end_matches([',', ';', ':']))
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
