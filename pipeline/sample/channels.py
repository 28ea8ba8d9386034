"""The sample's marketing channels: how much traffic each brings, how it engages and what a session costs.

Names, engagement and the mix of buyers' sessions follow the published journeys of the reference data set, and
costs and days its published report. The traffic that led to no order is a guess that fits both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One marketing channel.

    Attributes:
        name: as in `channel_name`.
        traffic: weight among the sessions of users who buy nothing.
        buying: weight among the sessions of users who buy.
        holder: share of a buyer's sessions, except the one of the order, with holder engagement.
        closer: the same with closer engagement.
        holds: whether the session of an order counts as holder-engaged.
        cost: mean cost of a session in euro; 0 for a channel that is not paid by the session.
        impressions: share of sessions that interacted with an impression.
        campaign: when the channel runs, from and until which share of the period.

    """

    name: str
    traffic: float
    buying: float = 0.0
    holder: float
    closer: float
    holds: bool = True
    cost: float = 0.0
    impressions: float = 0.0
    campaign: tuple[float, float] = (0, 1)


CHANNELS = (
    Channel(name="Direct Traffic", traffic=0.085, buying=0.222, holder=0.79, closer=0.67),
    Channel(name="Performance Max", traffic=0.22, buying=0.207, holder=0.82, closer=0.36, cost=1.31),
    Channel(name="FB & IG Ads", traffic=0.2, buying=0.07, holder=0.76, closer=0.51, cost=1.09),
    Channel(name="Newsletter & Email", traffic=0.09, buying=0.212, holder=0.94, closer=0.71),
    Channel(name="Paid Search Brand", traffic=0.08, buying=0.112, holder=0.94, closer=0.53, cost=0.48),
    Channel(name="Organic Traffic", traffic=0.08, buying=0.064, holder=0.91, closer=0.39),
    Channel(name="Paid Search Non Brand", traffic=0.06, buying=0.01, holder=0.97, closer=0.53, cost=0.71),
    Channel(name="TikTok Ads", traffic=0.05, buying=0.003, holder=0.9, closer=0.4, cost=0.48),
    Channel(name="Affiliate & Partnerships", traffic=0.03, buying=0.041, holder=0.96, closer=0.55, cost=0.31),
    Channel(name="Lead Generation", traffic=0.03, buying=0.001, holder=0.5, closer=0.2, cost=0.75),
    Channel(name="Social Organic", traffic=0.02, buying=0.006, holder=0.97, closer=0.5, cost=0.26),
    Channel(name="Referral", traffic=0.016, buying=0.028, holder=0.97, closer=0.7),
    Channel(name="Microsoft Ads", traffic=0.015, buying=0.008, holder=0.97, closer=0.25, cost=0.25),
    Channel(name="Untracked Conversions", traffic=0.01, buying=0.016, holder=0.0, closer=1.0, holds=False),
    Channel(name="YouTube Ads", traffic=0.006, holder=0.3, closer=0.1, impressions=0.9, campaign=(0.1, 1)),
    Channel(name="Pinterest Ads", traffic=0.03, holder=0.3, closer=0.1, impressions=0.6, campaign=(0.5, 0.6)),
)
"""Every channel; a session of a channel that is not running at that time belongs to the first one."""
