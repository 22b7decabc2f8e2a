#include "cuda/sweep_stop.h"

#include "device.h"

namespace fp8::cuda {
namespace {

class SweepStopTest : public CudaTest {};

TEST_F(SweepStopTest, ABlockOfRowsEndsWhenItsOwnGainIsSmall) {
  constexpr std::int64_t rows = 150;  // blocks of 64, 64 and 22
  const DeviceVector<double> objective(3);
  const DeviceVector<int> active(3), count(1);
  const StopState state{objective.get(), active.get(), count.get(), rows_per_stop(rows)};
  const DeviceVector<double> start(std::vector<double>(rows, 2.0));
  start_sweeps(start.get(), rows, state, nullptr);
  EXPECT_EQ(objective.host(), (std::vector<double>{128, 128, 44}));
  EXPECT_EQ(active.host(), (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(count.host().front(), 3);

  // Gains of 6.4, 0.064 (a half permille) and nothing.
  std::vector<double> change(rows, 0.0);
  for (int r = 0; r < 64; ++r) change[r] = -0.1;
  for (int r = 64; r < 128; ++r) change[r] = -0.001;
  const DeviceVector<double> first(change);
  end_sweep(first.get(), rows, 1e-3, state, nullptr);
  EXPECT_EQ(active.host(), (std::vector<int>{1, 0, 0}));
  EXPECT_EQ(count.host().front(), 1);
  EXPECT_NEAR(objective.host()[0], 121.6, 1e-9);

  // What has ended stays so.
  const DeviceVector<double> second(std::vector<double>(rows, -1.0));
  end_sweep(second.get(), rows, 1e-3, state, nullptr);
  EXPECT_EQ(active.host(), (std::vector<int>{1, 0, 0}));
}

}  // namespace
}  // namespace fp8::cuda
