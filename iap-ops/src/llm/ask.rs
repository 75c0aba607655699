//! One call, by the rules of the policy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use iap_core::Clock;
use metrics::counter;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::chat::{Chat, Reply, Usage};
use super::error::{CallError, ErrorKind};
use super::exit::{seal, tokens};
use super::http::Client;
use super::policy::breaker::{Breaker, BreakerSettings};
use super::policy::budget::{BudgetSettings, Hold, Ledger, Spent};
use super::wire::{self, Asked, Wire};
use super::{LlmError, LlmSettings, ProviderSettings, Scenario};
use crate::assistant::{Progress, Step};
use crate::masking::Masker;

/// Answers that are being worked on by models at a time.
const MAX_AT_ONCE: usize = 4;
/// How long all calls for one answer may take, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// The providers, and what is known of them.
pub struct Llm {
    providers: Vec<Provider>,
    /// Places in `providers`, for each scenario.
    uses: [Vec<usize>; 3],
    budget: BudgetSettings,
    breaker: BreakerSettings,
    allow_residency: Option<Vec<String>>,
    ledger: Arc<Ledger>,
    masker: Arc<Masker>,
    clock: Arc<dyn Clock>,
    pub(super) turns: Semaphore,
    patience: Duration,
}

struct Provider {
    settings: ProviderSettings,
    wire: Box<dyn Wire>,
    client: Client,
    breaker: Breaker,
}

/// What is known of the providers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LlmStatus {
    /// The providers, in the order of the settings.
    pub providers: Vec<ProviderStatus>,
    /// What was used in this hour (UTC).
    pub hour: Spent,
    /// What was used in this day (UTC).
    pub day: Spent,
}

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// The model.
    pub model: String,
    /// Whether data may go there.
    pub allowed: bool,
    /// Whether it is left alone now, since it has failed.
    pub resting: bool,
}

impl Llm {
    /// Makes the providers; does no I/O. What `before` has used counts on.
    ///
    /// # Errors
    /// Settings that cannot work, with the provider's name.
    pub fn new(
        settings: LlmSettings,
        masker: Arc<Masker>,
        clock: Arc<dyn Clock>,
        before: Option<&Self>,
    ) -> Result<Self, LlmError> {
        let names: Vec<String> = settings.providers.iter().map(|provider| provider.name.clone()).collect();
        let place = |name: &String| {
            let found = names.iter().position(|known| known == name);
            found.ok_or_else(|| LlmError(format!("there is no provider `{name}`")))
        };
        let places = |names: &[String]| names.iter().map(place).collect::<Result<Vec<_>, _>>();
        let uses = [places(&settings.understand)?, places(&settings.word)?, places(&settings.report)?];
        let provider = |settings: ProviderSettings| {
            let wire = wire::of(settings.kind);
            let client = Client::new(&settings, &*wire)?;
            Ok(Provider { wire, client, breaker: Breaker::default(), settings })
        };
        Ok(Self {
            providers: settings.providers.into_iter().map(provider).collect::<Result<_, LlmError>>()?,
            uses,
            budget: settings.budget,
            breaker: settings.breaker,
            allow_residency: settings.allow_residency,
            ledger: before.map(|before| before.ledger.clone()).unwrap_or_default(),
            masker,
            clock,
            turns: Semaphore::new(MAX_AT_ONCE),
            patience: settings.patience.unwrap_or(PATIENCE),
        })
    }

    /// Whether anybody is asked for this.
    pub fn serves(&self, scenario: Scenario) -> bool {
        !self.of(scenario).is_empty()
    }

    /// What is known of the providers now.
    pub fn status(&self) -> LlmStatus {
        let now_ms = self.clock.now_ms();
        let one = |provider: &Provider| ProviderStatus {
            name: provider.settings.name.clone(),
            model: provider.settings.model.clone(),
            allowed: self.allows(provider),
            resting: provider.breaker.is_resting(now_ms),
        };
        let [hour, day] = self.ledger.spent(now_ms);
        LlmStatus { providers: self.providers.iter().map(one).collect(), hour, day }
    }

    /// Until when an answer that is begun now has to be there.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Masks what goes out.
    pub(crate) fn masker(&self) -> &Arc<Masker> {
        &self.masker
    }

    fn of(&self, scenario: Scenario) -> &[usize] {
        match scenario {
            Scenario::Understand => &self.uses[0],
            Scenario::Word => &self.uses[1],
            Scenario::Report => &self.uses[2],
        }
    }

    fn allows(&self, provider: &Provider) -> bool {
        let of = provider.settings.residency.as_ref();
        self.allow_residency.as_ref().is_none_or(|allowed| of.is_some_and(|of| allowed.contains(of)))
    }

    /// Asks one provider after another until one has an answer. Gives the error of the last that was asked.
    pub(super) async fn ask(
        &self,
        scenario: Scenario,
        chat: &Chat,
        progress: Option<&Progress>,
    ) -> Result<(Reply, &str), CallError> {
        let mut last = CallError::from(ErrorKind::Connect);
        for (at, provider) in self.of(scenario).iter().map(|at| &self.providers[*at]).enumerate() {
            if at > 0 {
                counter!("iap_ops_llm_fallbacks_total", "provider" => provider.settings.name.clone())
                    .increment(1);
            }
            let name = &provider.settings.name;
            let asked = self.ask_one(provider, chat, progress).await;
            let outcome = asked.as_ref().map_or_else(|error| error.kind.as_str(), |_| "answered");
            counter!("iap_ops_llm_requests_total", "provider" => name.clone(), "outcome" => outcome)
                .increment(1);
            match asked {
                Ok(reply) => return Ok((reply, name)),
                Err(error) => {
                    tracing::warn!(provider = name, outcome, "a language model gave no answer");
                    Progress::tell(progress, Step::Failed { provider: name.clone(), why: error.kind });
                    last = error;
                    if !error.kind.may_try_another() {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    async fn ask_one(
        &self,
        provider: &Provider,
        chat: &Chat,
        progress: Option<&Progress>,
    ) -> Result<Reply, CallError> {
        let settings = &provider.settings;
        if !self.allows(provider) {
            return Err(ErrorKind::Residency.into());
        }
        let max_output = settings.max_output_tokens;
        let body = provider.wire.body(&Asked { chat, model: &settings.model, max_output });
        let sealed = seal(body, &self.masker);
        let most = Usage { input: sealed.tokens(), output: max_output.into() };
        if most.total() > settings.context_tokens {
            return Err(ErrorKind::Context.into());
        }
        let hold = self.ledger.hold(spent(settings, most), self.budget, self.clock.now_ms());
        let mut held =
            Held { llm: self, provider, hold: Some(hold.ok_or(ErrorKind::Budget)?), admitted: false };
        if !provider.breaker.admit(self.breaker, self.clock.now_ms()) {
            return Err(ErrorKind::Resting.into());
        }
        held.admitted = true;
        let (name, model) = (settings.name.clone(), settings.model.clone());
        Progress::tell(progress, Step::Asking { provider: name, model });
        let called = provider.client.call(&*provider.wire, sealed).await;
        held.settle(match &called {
            Ok(reply) => reply.usage.unwrap_or(Usage { output: tokens(reply.text.len()), ..most }),
            Err(error) if error.kind.was_not_read() => Usage::default(),
            Err(_) => Usage { output: 0, ..most },
        });
        match &called {
            Err(error) if error.kind.is_failure() => {
                provider.breaker.failed(self.breaker, error.retry_after, self.clock.now_ms());
            }
            _ => provider.breaker.well(),
        }
        called
    }
}

/// What a call uses of the budget.
fn spent(settings: &ProviderSettings, usage: Usage) -> Spent {
    let (input, output) = settings.price.unwrap_or_default();
    let cost = (usage.input as f64 * input + usage.output as f64 * output) / 1e6;
    Spent { requests: 1, tokens: usage.total(), cost }
}

/// What is set aside for a call; given back if the call is given up before it is over.
struct Held<'a> {
    llm: &'a Llm,
    provider: &'a Provider,
    hold: Option<Hold>,
    /// Whether the breaker has let it through.
    admitted: bool,
}

impl Held<'_> {
    fn settle(&mut self, used: Usage) {
        let Some(hold) = self.hold.take() else { return };
        let settings = &self.provider.settings;
        self.llm.ledger.settle(hold, spent(settings, used), self.llm.clock.now_ms());
        for (way, number) in [("input", used.input), ("output", used.output)] {
            counter!("iap_ops_llm_tokens_total", "provider" => settings.name.clone(), "way" => way)
                .increment(number);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        // Nothing was sent, or nobody knows how much of it was read: then it counts as one request.
        let requests = u64::from(self.admitted);
        self.llm.ledger.settle(hold, Spent { requests, ..Spent::default() }, self.llm.clock.now_ms());
        if self.admitted {
            self.provider.breaker.given_up();
        }
    }
}

impl fmt::Debug for Llm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Llm").field("status", &self.status()).finish_non_exhaustive()
    }
}
