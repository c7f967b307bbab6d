//! `ordermill product seed`: the products that the order API's samples name.

use anyhow::{Context, Result};
use ordermill_client::{Client, Product};
use ordermill_core::money::Currency;
use serde_json::json;

use crate::command::ConfigArgs;

/// A sample product: its id, its name, the price of one unit in major units, and its opening stock in units.
const SAMPLES: [(&str, &str, i64, i64); 2] =
    [("PROD001", "Sample Product 1", 29, 100), ("PROD002", "Sample Product 2", 49, 50)];

/// Arguments of `product seed`.
#[derive(clap::Args)]
#[command(after_help = "\
PROD001 \"Sample Product 1\" at 29 with 100 units, PROD002 \"Sample Product 2\" at 49 with 50 units. Stock is only opened where \
none was ever set, so seeding again changes no stock.")]
pub struct Args {
    /// The currency, ISO 4217; otherwise the order API's, wire.order_api.currency of the configuration
    #[arg(long, value_name = "CODE")]
    currency: Option<Currency>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Adds them, and gives them back as they are now.
pub async fn run(args: Args, client: &Client) -> Result<Vec<Product>> {
    let currency = match args.currency {
        Some(currency) => currency,
        None => args.config.load(Vec::new())?.config.wire.order_api.currency,
    };
    let mut answers = client.put_products(futures_util::stream::iter([lines(currency).into()])).await?;
    while let Some(answer) = answers.next().await? {
        if let Some(problem) = answer.problem {
            return Err(ordermill_client::Error::Refused(Box::new(problem))).context("a product was refused");
        }
    }
    let mut products = Vec::new();
    for (id, ..) in SAMPLES {
        products.push(client.product(id).await?);
    }
    Ok(products)
}

/// The samples as a bulk request takes them: its `stock` opens stock and never changes any.
fn lines(currency: Currency) -> String {
    let minor_units = 10_i64.pow(currency.minor_digits());
    let line = |(id, name, price, stock): (&str, &str, i64, i64)| {
        let price = json!({ "amount_minor": price * minor_units, "currency": currency });
        json!({ "product_id": id, "name": name, "price": price, "stock": stock }).to_string() + "\n"
    };
    SAMPLES.map(line).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::testing::Shop;

    #[tokio::test(flavor = "multi_thread")]
    async fn seeding_again_changes_nothing_and_brings_back_what_was_deleted() {
        let shop = Shop::open().await;
        let client = &shop.client;
        let seed = || run(Args { currency: "EUR".parse().ok(), config: ConfigArgs::default() }, client);
        let first = seed().await.expect("they can be added");
        assert_eq!(
            (&*first[0].name, first[0].price.amount_minor, &*first[1].price.currency),
            ("Sample Product 1", 2_900, "EUR")
        );
        client.set_stock("PROD001", 7).await.expect("it has stock");
        assert_eq!(seed().await.expect("they are there"), first);
        let stock = [client.stock("PROD001").await, client.stock("PROD002").await];
        assert_eq!(stock.map(|stock| stock.expect("it has stock").available), [7, 50]);
        client.delete_product("PROD001").await.expect("it can be deleted");
        assert!(!seed().await.expect("they can be added again")[0].deleted);
        assert_eq!(client.stock("PROD001").await.expect("it has stock").available, 7);
        shop.close().await;
    }

    #[test]
    fn prices_are_whole_units_of_the_currency() {
        let price = |currency: &str| -> Vec<i64> {
            let lines = lines(currency.parse().expect("a currency"));
            let product = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
            lines.lines().map(|line| product(line)["price"]["amount_minor"].as_i64().expect("a number")).collect()
        };
        assert_eq!(price("USD"), [2_900, 4_900]);
        assert_eq!(price("JPY"), [29, 49]);
    }
}
