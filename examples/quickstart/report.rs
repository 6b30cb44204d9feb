//! What the quickstart shows: a few questions in words, all of them in figures.

use std::time::Duration;

use maxfold::eval::{Gain, Metric, Run, evaluate};
use maxfold::rerank::Execution;
use maxfold::search::QueryPlan;
use serde::Serialize;
use serde_json::{Value, json};

use super::LIMIT;
use super::handbook::{Handbook, Question};

/// Sections shown of each ranking.
const PLACES: usize = 3;

const METRICS: [Metric; 2] = [Metric::Ndcg { k: 10, gain: Gain::Linear }, Metric::Mrr { k: 10 }];

/// A question and both rankings of its candidates: (section, score), best first.
pub struct Answer {
    pub question: Question,
    pub recalled: Vec<(u64, f32)>,
    pub reranked: Vec<(u64, f32)>,
    pub plan: QueryPlan,
}

pub struct Outcome {
    pub handbook: Handbook,
    pub answers: Vec<Answer>,
    /// Time to open the collection, or to make it, and to find a GPU.
    pub prepared: Duration,
    /// What was chosen to rerank.
    pub execution: Execution,
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

impl Answer {
    fn recall_time(&self) -> Duration {
        self.plan.query.prefetch.iter().map(|stage| stage.time).sum()
    }
}

impl Outcome {
    pub fn print(&self) -> maxfold::Result<()> {
        let (sections, questions) = (self.handbook.sections.len(), self.answers.len());
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
            self.print_answer(best.answer);
            self.print_answer(second.answer);
            println!("\nWhere it hurts most:");
            self.print_answer(worst.answer);
        }
        self.print_figures(&gains)
    }

    fn print_answer(&self, answer: &Answer) {
        println!("\n  “{}”", answer.question.text);
        self.print_ranking("recall alone", &answer.question.id, &answer.recalled);
        self.print_ranking("after rerank", &answer.question.id, &answer.reranked);
    }

    fn print_ranking(&self, name: &str, question: &str, ranking: &[(u64, f32)]) {
        println!("    {name}");
        for (place, &(id, score)) in (1..).zip(ranking.iter().take(PLACES)) {
            let Some(section) = self.handbook.sections.get(&id) else { continue };
            let mark = match self.handbook.qrels.grade(question, &id.to_string()) {
                Some(2..) => "●●",
                Some(1) => "● ",
                _ => "  ",
            };
            let title = format!("{} › {}", section.page_title, section.section_title);
            println!("      {place}. {mark} {score:6.3}  {title}");
            println!("                   {}", excerpt(&section.text));
        }
    }

    fn print_figures(&self, gains: &[Gained<'_>]) -> maxfold::Result<()> {
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
        let recall = median(self.answers.iter().map(|answer| answer.recall_time()));
        let rerank = median(self.answers.iter().map(|answer| answer.plan.query.time));
        let candidates = self.answers.first().map_or(0, |answer| answer.plan.query.allowed);
        println!("\n  backend   {}", self.last_execution());
        println!(
            "  to start  {} ms: collection opened, backend made ready",
            self.prepared.as_millis()
        );
        println!("  recall    {} µs a question (median)", recall.as_micros());
        println!(
            "  rerank    {} µs a question (median), {candidates} candidates",
            rerank.as_micros()
        );
        Ok(())
    }

    pub fn to_json(&self) -> Result<String, Box<dyn std::error::Error>> {
        let mut metrics = serde_json::Map::new();
        for Measured { metric, recall, rerank } in self.measured()? {
            metrics.insert(metric.to_string(), json!({"recall": recall, "rerank": rerank}));
        }
        let execution = self.last_execution();
        Ok(serde_json::to_string(&Printed {
            backend: execution.backend().to_string(),
            adapter: execution.adapter(),
            variant: execution.variant(),
            reason: &execution.reason,
            sections: self.handbook.sections.len(),
            metrics,
            prepared_micros: self.prepared.as_micros(),
            questions: self.answers.iter().map(|it| self.printed_question(it)).collect(),
        })?)
    }

    /// What ran last: another backend than was chosen, if that one failed meanwhile.
    fn last_execution(&self) -> &Execution {
        let last = self.answers.last().and_then(|answer| answer.plan.execution());
        last.unwrap_or(&self.execution)
    }

    fn measured(&self) -> maxfold::Result<Vec<Measured>> {
        let (recall, rerank) = self.runs()?;
        let mean = |run, metric| Ok(evaluate(&self.handbook.qrels, run, metric)?.mean);
        let measure = |metric| {
            Ok(Measured { metric, recall: mean(&recall, metric)?, rerank: mean(&rerank, metric)? })
        };
        METRICS.into_iter().map(measure).collect()
    }

    /// Every answer with what the rerank changes in its nDCG@10, the greatest gain first.
    fn gains(&self) -> maxfold::Result<Vec<Gained<'_>>> {
        let (recall, rerank) = self.runs()?;
        let [ndcg, ..] = METRICS;
        let before = evaluate(&self.handbook.qrels, &recall, ndcg)?.per_query;
        let after = evaluate(&self.handbook.qrels, &rerank, ndcg)?.per_query;
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

    fn printed_question<'a>(&'a self, answer: &'a Answer) -> PrintedQuestion<'a> {
        let hit = |&(id, score): &(u64, f32)| {
            let section = self.handbook.sections.get(&id);
            PrintedHit {
                id,
                score,
                title: section.map(|s| format!("{} › {}", s.page_title, s.section_title)),
                link: section.map(|s| format!("{}#{}", s.url, s.anchor)),
            }
        };
        let top = |ranking: &[(u64, f32)]| ranking.iter().take(LIMIT).map(hit).collect();
        PrintedQuestion {
            id: &answer.question.id,
            text: &answer.question.text,
            recalled: top(&answer.recalled),
            hits: top(&answer.reranked),
            recall_micros: answer.recall_time().as_micros(),
            rerank_micros: answer.plan.query.time.as_micros(),
        }
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

/// The output of `--json`.
#[derive(Serialize)]
struct Printed<'a> {
    backend: String,
    adapter: Option<&'a str>,
    variant: String,
    reason: &'a str,
    sections: usize,
    metrics: serde_json::Map<String, Value>,
    prepared_micros: u128,
    questions: Vec<PrintedQuestion<'a>>,
}

#[derive(Serialize)]
struct PrintedQuestion<'a> {
    id: &'a str,
    text: &'a str,
    recalled: Vec<PrintedHit>,
    hits: Vec<PrintedHit>,
    recall_micros: u128,
    rerank_micros: u128,
}

#[derive(Serialize)]
struct PrintedHit {
    id: u64,
    score: f32,
    title: Option<String>,
    link: Option<String>,
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
