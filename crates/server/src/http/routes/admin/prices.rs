//! New prices of a performance in a request, each for all seats of a grade.

use std::borrow::Cow;

use onsale_domain::concert::{GradePrice, PRICE_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::http::input::{Body, Fields, Member};
use crate::http::values::{Name, Points};

/// The price of all seats of a grade.
#[derive(Body, JsonSchema)]
#[schemars(rename = "GradePrice")]
pub(crate) struct GradePriceBody {
    /// A grade that the performance has.
    grade: Name,
    /// Points.
    price: Points<0, PRICE_MAX>,
}

/// New prices, no two for one grade.
pub(crate) struct PricesField(pub(crate) Vec<GradePrice>);

impl Member for PricesField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        // A price that is wrong is noted and comes as `None`.
        let bodies = fields.objects(name, GradePriceBody::read)?.into_iter().collect::<Option<Vec<_>>>()?;
        if bodies.is_empty() {
            fields.wrong(name, "must name a grade".to_owned());
            return None;
        }
        let mut prices: Vec<GradePrice> = Vec::with_capacity(bodies.len());
        for (index, GradePriceBody { grade: Name(grade), price: Points(price) }) in bodies.into_iter().enumerate() {
            if prices.iter().any(|known| *known.grade == *grade) {
                fields.wrong(&format!("{name}.{index}.grade"), "is there in an earlier price".to_owned());
                return None;
            }
            prices.push(GradePrice { grade: grade.into(), price });
        }
        Some(Self(prices))
    }
}

impl JsonSchema for PricesField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Prices".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let prices = generator.subschema_for::<GradePriceBody>();
        // Without a maximum: the body has one, and each grade of the performance is named at most once.
        json_schema!({"type": "array", "minItems": 1, "items": prices})
    }
}
