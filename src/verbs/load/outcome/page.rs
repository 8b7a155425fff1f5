//! A load as a page for people: what the report draws it from.

use record::Tool;
use report::{LoadFacts, LoadRequest, LoadStage};
use terms::text;

use super::super::options::Options;
use super::LoadReport;
use super::shown::shown_command;
use crate::ending::typed;

impl LoadReport {
    /// The page.
    ///
    /// # Errors
    /// Where it cannot be filled, which is a bug.
    pub(in crate::verbs::load) fn page(
        &self,
        options: &Options,
        tool: &Tool,
        began_us: u64,
    ) -> anyhow::Result<String> {
        let stages = self.stages.iter().map(|stage| LoadStage {
            words: &stage.stage,
            due: stage.arrivals,
            ok_per_s: stage.ok_per_s,
            p50_us: stage.response_p50_us,
            p99_us: stage.response_p99_us,
        });
        let mut requests: Vec<LoadRequest<'_>> = self
            .requests
            .iter()
            .map(|(name, request)| LoadRequest {
                name,
                due: request.arrivals,
                failed: request.failed_total,
                response_us: &request.all_us,
            })
            .collect();
        requests.sort_by(|one, other| other.response_us.p99.total_cmp(&one.response_us.p99));
        let facts = LoadFacts {
            target: &self.shown_target(),
            command: &shown_command(typed()),
            began_us,
            tool,
            asked_per_s: self.scheduled_rate_per_s,
            ok_per_s: self.rate_per_s,
            settings: self.settings(options),
            notes: self.notes(),
            stages: stages.collect(),
            requests,
            outcome: &self.outcome,
        };
        Ok(report::load_page(&facts)?)
    }

    /// How it was loaded: a term, and what there is to say of it.
    fn settings(&self, options: &Options) -> Vec<(&'static str, String)> {
        let seconds = |s: f64| text::micros(s * 1e6);
        let plural = |count: u64, what: &str| {
            format!("{} {what}{}", text::count(count), if count == 1 { "" } else { "s" })
        };
        let connections = plural(u64::from(self.connections), "connection");
        let model = match self.scheduled_rate_per_s {
            Some(rate) => {
                let mean = if self.stages.is_empty() { "" } else { ", on average," };
                let rate = text::plain_number(rate);
                format!("{}: {rate} calls/s{mean} are due, however slow the server is", self.model)
            }
            None => format!(
                "{}: a connection calls again as soon as it has its reply, which hides waiting",
                self.model
            ),
        };
        let mut settings = vec![
            ("address", self.address.clone()),
            ("model", model),
            (
                "connections",
                format!("{connections}, at most {} in flight on each", plural(self.in_flight.into(), "call")),
            ),
            ("load engine", plural(self.workers.into(), "worker")),
            ("warm-up", if self.warm_up_s > 0.0 { seconds(self.warm_up_s) } else { "none".to_owned() }),
            ("measured", seconds(self.duration_s)),
            ("time-out", format!("{} after a call was due", text::exact(options.time_out))),
            ("calls sent", format!("{} of {}", text::count(self.sent), text::count(self.arrivals))),
            ("reconnections", text::count(self.reconnections)),
        ];
        if !options.workload_words.is_empty() {
            let command = shown_command(options.workload_words.iter().cloned());
            let shown = command.strip_prefix("wirebench ").unwrap_or(&command);
            settings.push(("options of the workload", shown.to_owned()));
        }
        if self.reply_bytes > 0 {
            settings.push(("bodies of replies", format!("{} bytes", text::count(self.reply_bytes))));
        }
        if let Some(us) = self.client_cpu_us_per_call {
            settings.push(("client CPU per call", text::micros(us)));
        }
        settings
    }
}
