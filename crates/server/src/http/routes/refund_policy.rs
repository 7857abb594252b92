//! Refund policies, as an administrator writes them and as answers show them.

use std::borrow::Cow;

use onsale_domain::refund::{FEE_PERCENT_MAX, HOURS_BEFORE_MAX, Policy, RULES_MAX, Rule, Unfit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::http::input::{Body, Fields, Member};
use crate::http::values::Count;

/// Up to this many hours before the start, a refund costs the buyer this part of the price.
#[derive(Body, JsonSchema)]
#[schemars(rename = "RefundRule")]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleBody {
    /// The rule holds while more hours than these are left until the start. Of the rules that hold, the one with the most
    /// hours counts.
    hours_before: Count<0, HOURS_BEFORE_MAX>,
    /// Percent of the price of each seat, rounded down to whole points.
    fee_percent: Count<0, FEE_PERCENT_MAX>,
}

/// A refund policy in a request.
pub(crate) struct PolicyField(pub(crate) Policy);

impl Member for PolicyField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        // A rule that is wrong is noted and comes as `None`.
        let rules = fields.objects(name, RuleBody::read)?.into_iter().collect::<Option<Vec<_>>>()?;
        let rule = |body: RuleBody| Rule { hours_before: body.hours_before.0, fee_percent: body.fee_percent.0 };
        let (path, message) = match Policy::new(rules.into_iter().map(rule).collect()) {
            Ok(policy) => return Some(Self(policy)),
            Err(Unfit::TooMany) => (name.to_owned(), format!("must have at most {RULES_MAX} rules")),
            Err(Unfit::Hours(index)) => {
                (format!("{name}.{index}.hoursBefore"), format!("must be 0 to {HOURS_BEFORE_MAX}"))
            }
            Err(Unfit::Fee(index)) => (format!("{name}.{index}.feePercent"), format!("must be 0 to {FEE_PERCENT_MAX}")),
            Err(Unfit::Twice(index)) => {
                (format!("{name}.{index}.hoursBefore"), "is there in an earlier rule".to_owned())
            }
        };
        fields.wrong(&path, message);
        None
    }
}

impl JsonSchema for PolicyField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RefundPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "maxItems": RULES_MAX, "items": generator.subschema_for::<RuleBody>()})
    }
}

/// A rule of a policy in an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleShown {
    hours_before: u32,
    fee_percent: u32,
}

impl RuleShown {
    /// The rules of a policy, by descending hours.
    pub(crate) fn all(policy: &Policy) -> Vec<Self> {
        let shown = |rule: &Rule| Self { hours_before: rule.hours_before, fee_percent: rule.fee_percent };
        policy.rules().iter().map(shown).collect()
    }
}

impl JsonSchema for RuleShown {
    fn schema_name() -> Cow<'static, str> {
        RuleBody::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        RuleBody::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        RuleBody::json_schema(generator)
    }
}
