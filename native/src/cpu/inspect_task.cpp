#include "cpu/inspect_task.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "core/grid.h"
#include "core/stop.h"
#include "cpu/value_reader.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

constexpr std::size_t pass_elements = std::size_t{1} << 17;
// Sums follow the parts, of which there are as many for any number of threads.
constexpr std::size_t most_parts = 32;
constexpr std::size_t histogram_bins = 128;
constexpr std::size_t energy_samples = 128;
// Columns beyond this are not looked at one by one.
constexpr std::uint64_t most_columns = std::uint64_t{1} << 18;

// Count, mean and sum of squared deviations of a set of values, to be merged with another's.
// Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;

  void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double difference = other.mean - mean;
    mean += difference * (other.count / total);
    squares += other.squares + difference * difference * (count / total * other.count);
    count = total;
  }
};

struct FirstPass {
  Moments moments;
  double smallest = std::numeric_limits<double>::infinity();
  double largest = -std::numeric_limits<double>::infinity();
  std::uint64_t zeros = 0;
  std::uint64_t nans = 0;
  std::uint64_t infinities = 0;
  std::vector<double> column_energies;
};

struct SecondPass {
  std::vector<std::uint64_t> histogram = std::vector<std::uint64_t>(histogram_bins);
  CastLoss at_scale;
  CastLoss unscaled;
};

void add_block(std::span<const double> values, FirstPass& pass) {
  double sum = 0;
  std::uint64_t finite = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) {
      ++(std::isnan(value) ? pass.nans : pass.infinities);
      continue;
    }
    ++finite;
    sum += value;
    pass.smallest = std::min(pass.smallest, value);
    pass.largest = std::max(pass.largest, value);
    pass.zeros += value == 0;
  }
  if (finite == 0) return;
  Moments block{static_cast<double>(finite), sum / static_cast<double>(finite), 0};
  for (const double value : values) {
    const double deviation = std::isfinite(value) ? value - block.mean : 0;
    block.squares += deviation * deviation;
  }
  pass.moments.merge(block);
}

// `values` are whole rows.
void add_energies(std::span<const double> values, std::vector<double>& energies) {
  for (std::size_t row = 0; row < values.size(); row += energies.size()) {
    for (std::size_t column = 0; column < energies.size(); ++column) {
      const double value = values[row + column];
      energies[column] += std::isfinite(value) ? value * value : 0;
    }
  }
}

void add_loss(double magnitude, CastLoss& loss) {
  constexpr auto smallest_normal = static_cast<double>(e4m3_grid.smallest_normal);
  constexpr auto rounds_to_zero = static_cast<double>(e4m3_grid.subnormal_step) / 2;
  loss.underflow += magnitude > 0 && magnitude <= rounds_to_zero;
  loss.subnormal += magnitude > 0 && magnitude < smallest_normal;
  loss.saturated += magnitude > static_cast<double>(e4m3_max);
}

void add_block(std::span<const double> values, const Inspected& known, SecondPass& pass) {
  const double width = known.largest - known.smallest;
  const double per_bin = width > 0 ? histogram_bins / width : 0;
  const double inverse_scale = 1 / static_cast<double>(known.fp8_scale);
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    const auto bin = static_cast<std::size_t>((value - known.smallest) * per_bin);
    ++pass.histogram[std::min(bin, histogram_bins - 1)];
    add_loss(std::fabs(value) * inverse_scale, pass.at_scale);
    add_loss(std::fabs(value), pass.unscaled);
  }
}

void add(const CastLoss& part, CastLoss& total) {
  total.underflow += part.underflow;
  total.subnormal += part.subnormal;
  total.saturated += part.saturated;
}

class InspectRun {
 public:
  InspectRun(const InspectTask& task, const JobFiles& files, Context& context)
      : task_(task),
        files_(files),
        context_(context),
        codes_(code_reader_of(task.values, files, task.name)),
        count_(static_cast<std::size_t>(element_count(task.values))),
        has_columns_(task.rows > 1 && task.columns > 1 && task.columns <= most_columns) {
    const auto columns = static_cast<std::size_t>(task.columns);
    block_elements_ = has_columns_ ? std::max<std::size_t>(1, pass_elements / columns) * columns : pass_elements;
    blocks_ = block_count(count_, block_elements_);
  }

  Inspected run() {
    result_.id = task_.id;
    result_.count = count_;
    result_.histogram.resize(histogram_bins);
    measure();
    count_into_bins();
    return result_;
  }

 private:
  template <typename Pass>
  std::vector<Pass> each_part(double progress_end, const Pass& initial, const std::function<void(std::span<const double>, Pass&)>& add) {
    std::vector<Pass> passes(std::min(blocks_, most_parts), initial);
    context_.progress.begin_phase(progress_end, static_cast<double>(blocks_));
    context_.pool.parallel_for(passes.size(), context_.stop, [&](std::size_t part) {
      ValueReader reader(task_.values, files_, task_.name, std::min(block_elements_, count_), codes_);
      for (std::size_t index = part * blocks_ / passes.size(); index < (part + 1) * blocks_ / passes.size(); ++index) {
        throw_if_stopped(context_.stop);
        const Block block = block_at(index, block_elements_, count_);
        add(reader.read(block.begin, block.size()), passes[part]);
        context_.progress.advance();
      }
    });
    return passes;
  }

  void measure() {
    FirstPass total;
    if (has_columns_) total.column_energies.resize(static_cast<std::size_t>(task_.columns));
    const auto passes = each_part<FirstPass>(0.5, total, [&](std::span<const double> values, FirstPass& pass) {
      add_block(values, pass);
      if (has_columns_) add_energies(values, pass.column_energies);
    });
    for (const FirstPass& pass : passes) {
      total.moments.merge(pass.moments);
      total.smallest = std::min(total.smallest, pass.smallest);
      total.largest = std::max(total.largest, pass.largest);
      total.zeros += pass.zeros;
      total.nans += pass.nans;
      total.infinities += pass.infinities;
      for (std::size_t i = 0; i < total.column_energies.size(); ++i) total.column_energies[i] += pass.column_energies[i];
    }
    result_.zero_count = total.zeros;
    result_.nan_count = total.nans;
    result_.infinity_count = total.infinities;
    if (total.moments.count == 0) return;
    result_.smallest = total.smallest;
    result_.largest = total.largest;
    result_.mean = total.moments.mean;
    result_.deviation = std::sqrt(total.moments.squares / total.moments.count);
    const double absolute = std::max(std::fabs(total.smallest), std::fabs(total.largest));
    result_.fp8_scale = e4m3_scale(static_cast<float>(std::min(absolute, static_cast<double>(std::numeric_limits<float>::max()))));
    sketch(std::move(total.column_energies));
  }

  void sketch(std::vector<double> energies) {
    double sum = 0;
    for (const double energy : energies) sum += energy;
    if (sum == 0) return;
    std::sort(energies.begin(), energies.end(), std::greater<>());
    const std::size_t samples = std::min(energies.size(), energy_samples);
    const double mean = sum / static_cast<double>(energies.size());
    for (std::size_t i = 0; i < samples; ++i) {
      result_.column_energies.push_back(energies[i * (energies.size() - 1) / std::max<std::size_t>(1, samples - 1)] / mean);
    }
    double reached = 0;
    std::size_t columns = 0;
    while (columns < energies.size() && reached < sum / 2) reached += energies[columns++];
    result_.half_energy_share = static_cast<double>(columns) / static_cast<double>(energies.size());
  }

  void count_into_bins() {
    const auto passes =
        each_part<SecondPass>(1, {}, [&](std::span<const double> values, SecondPass& pass) { add_block(values, result_, pass); });
    for (const SecondPass& pass : passes) {
      for (std::size_t bin = 0; bin < histogram_bins; ++bin) result_.histogram[bin] += pass.histogram[bin];
      add(pass.at_scale, result_.at_scale);
      add(pass.unscaled, result_.unscaled);
    }
  }

  const InspectTask& task_;
  const JobFiles& files_;
  Context& context_;
  const std::shared_ptr<const CodeReader> codes_;
  const std::size_t count_;
  const bool has_columns_;
  std::size_t block_elements_ = pass_elements;
  std::size_t blocks_ = 0;
  Inspected result_;
};

}  // namespace

void run_inspect_task(const InspectTask& task, const JobFiles& files, Observer& observer, Context& context) {
  observer.on_event(InspectRun(task, files, context).run());
}

std::uint64_t inspect_task_bytes(const InspectTask& task, std::size_t threads) {
  const std::uint64_t columns = std::min(task.columns, most_columns);
  return threads * ValueReader::bytes(std::max<std::uint64_t>(pass_elements, columns)) + (most_parts + 1) * columns * sizeof(double);
}

}  // namespace fp8
