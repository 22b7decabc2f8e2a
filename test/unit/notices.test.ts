/** The licences of others that ship with the package. */
import { describe, expect, test } from 'vitest';
import { noticesOf } from '../../scripts/notices.mjs';

describe('notices', () => {
  const text = noticesOf([
    'src/webview/main.ts',
    'node_modules/@tanstack/virtual-core/dist/esm/index.js',
    'node_modules/@microsoft/fast-web-utilities/dist/index.js',
    'node_modules/tabbable/dist/index.esm.js',
  ]);

  test('give the licence of everything that the addon is linked with', () => {
    expect(text).toMatch(/^OpenBLAS, .*BSD 3-Clause[\s\S]*^Redistribution and use in source and binary forms/m);
    expect(text).toMatch(/^Highway, .*Apache License 2\.0[\s\S]*TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION/m);
    expect(text).toMatch(/^node-addon-api, .*MIT/m);
    expect(text).toMatch(/^The CUDA runtime/m);
  });

  test('give the licence of every package in a bundle, and of no file of our own', () => {
    expect([...text.matchAll(/^(\S+), in the bundles/gm)].map((match) => match[1])).toEqual([
      '@microsoft/fast-web-utilities',
      '@tanstack/virtual-core',
      'tabbable',
    ]);
    expect(text).toContain('Tanner Linsley');
  });

  test('give the terms and the holder also where a package names its licence only', () => {
    const [, notice = ''] = text.split(/^@microsoft\/fast-web-utilities, .*$/m);
    expect(notice).toMatch(/^\s*MIT License\s+Copyright \(c\) Microsoft\s+Permission is hereby granted/);
  });

  test('are refused where a licence cannot be given', () => {
    expect(() => noticesOf(['node_modules/typescript/package.json', 'node_modules/no-such-package/index.js'])).toThrow(/no-such-package/);
  });
});
