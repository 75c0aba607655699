//! The operations assistant: questions in Korean or English, answered from what was recorded.
//!
//! A question becomes a plan, the plan queries, queries findings with numbers and evidence, and findings a text by
//! template. A language model, where one is set up, only chooses plans and words findings, and what it says is checked.
//!
//! ```
//! use std::sync::Arc;
//!
//! use iap_apm::{SqliteHistory, SqliteOptions};
//! use iap_ops::{Assistant, Live, Outcome};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let history = Arc::new(SqliteHistory::temporary(SqliteOptions::default())?);
//! let assistant = Assistant::new(Arc::new(Live::new(history)));
//! let answer = assistant.ask("지금 문제의 원인을 알려줘").await?;
//! assert_eq!(answer.outcome, Outcome::NoData);
//! assert!(answer.text.contains("Asia/Seoul"));
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`telemetry`] | what can be read: sessions and history, never written |
//! | [`question`] | from a text to an intent and a window |
//! | [`findings`] | what is wrong, in types |
//! | [`facts`] | what any other answer knows, in types |
//! | [`report`] | answers to several questions as Markdown or HTML |
//! | [`forecast`] | the load to come |
//! | [`estate`] | users, servers, processes, changes |
//! | [`tools`] | what an AI assistant may ask, in small answers |
//! | [`masking`] | personal data, taken out of what leaves the platform |
//! | [`actions`] | what may be done about it, by whom, and how it is taken back |
//! | [`detect`] | events in series, and incidents |
//! | [`cause`] | what an incident is due to |
//! | [`blame`] | which span of a trace the time or the failure is due to |
//! | [`outgoing`] | requests of our own to places that the configuration names |
//! | [`assistant`] | plan, queries, findings, wording |
//! | [`llm`] | a language model beside it, where one is set up |
//! | [`grounding`] | whether a text claims anything that the findings do not say |
//! | [`runbooks`] | passages of runbooks and of past incidents about the same |

pub mod actions;
pub mod alerts;
mod answers;
pub mod assistant;
pub mod blame;
pub mod cause;
pub mod detect;
pub mod estate;
pub mod facts;
pub mod findings;
pub mod forecast;
pub mod grounding;
mod holidays;
pub mod llm;
mod log_patterns;
pub mod masking;
pub mod notify;
pub mod outgoing;
pub mod question;
pub mod report;
pub mod runbooks;
mod sql;
pub mod telemetry;
pub mod tools;
mod zone;

pub use assistant::{Answer, AnswerWindow, AskOptions, Assistant, By, Help, Outcome, Progress, Step};
pub use blame::{Blame, BlameKind};
pub use estate::{AudienceKind, Change, ChangeKind, Estate, InstanceState, ServerState};
pub use facts::Facts;
pub use findings::{Culprit, Finding, Findings, Problem, Recent, RouteNumbers, Scope};
pub use log_patterns::{LogPattern, log_patterns};
pub use question::{AskedTime, Intent, Language, Named, Question};
pub use report::{Report, ReportKind};
pub use telemetry::{Live, SessionSource, SessionStats, StoreNumbers, Telemetry, TelemetryError};
pub use zone::Zone;
