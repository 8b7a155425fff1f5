//! What encoding and decoding the market's messages costs, without any I/O.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput};
use proto::data::DataSet;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, Kind};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let data = DataSet::new(42);
    let (Ok(quote), Ok(portfolio), Ok(history)) =
        (data.quote("AAAA"), data.portfolio("ACC00003"), data.history("AAAA", 1_000))
    else {
        unreachable!("the data set has them")
    };
    codec(&mut criterion, "quote", &quote);
    codec(&mut criterion, "portfolio", &portfolio);
    codec(&mut criterion, "history-1000", &history);
    let mut encoded = BytesMut::new();
    frame::put(&mut encoded, 7, Kind::Quote, &quote);
    criterion.bench_function("frame/take", |bencher| {
        bencher.iter_batched(
            || encoded.clone(),
            |mut bytes| black_box(Frame::take(&mut bytes, 1 << 20)),
            criterion::BatchSize::SmallInput,
        );
    });
    criterion.final_summary();
}

fn codec<M>(criterion: &mut Criterion, name: &str, message: &M)
where
    M: prost::Message + Default + serde::Serialize + serde::de::DeserializeOwned,
{
    for (label, encoding) in [("json", Encoding::Json), ("protobuf", Encoding::Protobuf)] {
        let encoded = encoding.encode(message);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(encoded.len() as u64));
        group.bench_with_input(BenchmarkId::new("encode", label), message, |bencher, message| {
            bencher.iter(|| encoding.encode(black_box(message)));
        });
        group.bench_with_input(BenchmarkId::new("decode", label), &encoded, |bencher, encoded| {
            bencher.iter(|| encoding.decode::<M>(black_box(encoded)));
        });
    }
}
