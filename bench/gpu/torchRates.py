"""Rates of torch.matmul for the shapes that cuda_bench times, as the measure of its products. Prints one JSON object a line."""
import json
import torch


def rate(rows, columns, depth, dtype, tf32):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a = torch.randn(rows, depth, device="cuda", dtype=dtype)
    b = torch.randn(columns, depth, device="cuda", dtype=dtype)
    times = []
    for repeat in range(33):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        a @ b.T
        stop.record()
        stop.synchronize()
        if repeat >= 3:
            times.append(start.elapsed_time(stop))
    return 2e-9 * rows * columns * depth / sorted(times)[len(times) // 2]


for rows, columns, depth in ((3072, 3072, 3072), (9216, 3072, 3072)):
    print(json.dumps({
        "torch": [rows, columns, depth],
        "fp16_tflops": round(rate(rows, columns, depth, torch.float16, False), 1),
        "tf32_tflops": round(rate(rows, columns, depth, torch.float32, True), 1),
        "fp32_tflops": round(rate(rows, columns, depth, torch.float32, False), 1),
    }))
for size in (3072, 12288, 15360):
    a = torch.randn(size, size, device="cuda")
    h = a @ a.T / size + torch.eye(size, device="cuda")
    torch.linalg.cholesky(h)
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    torch.linalg.cholesky(h)
    stop.record()
    stop.synchronize()
    print(json.dumps({"torch_cholesky": size, "ms": round(start.elapsed_time(stop), 2)}))
