#include "cpu/difference_task.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/stop.h"
#include "cpu/value_reader.h"

namespace fp8 {

namespace {

constexpr std::size_t pass_elements = std::size_t{1} << 18;
// Sums follow the parts, of which there are as many for any number of threads.
constexpr std::size_t most_parts = 64;

void add_block(std::span<const double> reference, std::span<const double> other, Compared& sum) {
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double theirs = reference[i];
    const double ours = other[i];
    if (!std::isfinite(ours) || !std::isfinite(theirs)) {
      ++sum.non_finite_count;
      // An infinity or a NaN in the same place is the same value.
      sum.equal = sum.equal && (ours == theirs || (std::isnan(ours) && std::isnan(theirs)));
      continue;
    }
    const double difference = ours - theirs;
    sum.equal = sum.equal && difference == 0;
    sum.squared_error += difference * difference;
    sum.squared_source += theirs * theirs;
    sum.max_absolute_error = std::max(sum.max_absolute_error, std::fabs(difference));
  }
}

}  // namespace

void run_difference_task(const DifferenceTask& task, const JobFiles& files, Observer& observer, Context& context) {
  const auto count = static_cast<std::size_t>(element_count(task.reference));
  const std::size_t blocks = block_count(count, pass_elements);
  const std::size_t parts = std::min(blocks, most_parts);
  std::vector<Compared> sums(parts);
  const auto reference_codes = code_reader_of(task.reference, files, task.name);
  const auto other_codes = code_reader_of(task.other, files, task.name);
  context.progress.begin_phase(1, static_cast<double>(blocks));
  context.pool.parallel_for(parts, context.stop, [&](std::size_t part) {
    ValueReader reference(task.reference, files, task.name, std::min(pass_elements, count), reference_codes);
    ValueReader other(task.other, files, task.name, std::min(pass_elements, count), other_codes);
    sums[part].equal = true;
    for (std::size_t index = part * blocks / parts; index < (part + 1) * blocks / parts; ++index) {
      throw_if_stopped(context.stop);
      const Block block = block_at(index, pass_elements, count);
      add_block(reference.read(block.begin, block.size()), other.read(block.begin, block.size()), sums[part]);
      context.progress.advance();
    }
  });
  Compared total;
  total.id = task.id;
  total.equal = true;
  for (const Compared& sum : sums) {
    total.equal = total.equal && sum.equal;
    total.squared_error += sum.squared_error;
    total.squared_source += sum.squared_source;
    total.max_absolute_error = std::max(total.max_absolute_error, sum.max_absolute_error);
    total.non_finite_count += sum.non_finite_count;
  }
  observer.on_event(total);
}

std::uint64_t difference_task_bytes(std::size_t threads) { return 2 * threads * ValueReader::bytes(pass_elements); }

}  // namespace fp8
